"""Python reads this at its start where the tests put this folder on PYTHONPATH: the worker is simulated then.

Only the module that `measurement/worker/client.py` spawns is another one; the pipeline knows nothing of it.
"""

import sys
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import spec_from_file_location
from pathlib import Path

WORKER = "llenergymeasure.measurement.worker.__main__"


class SimulatedWorker:
    """Finds the tests' worker where the pipeline's is looked for."""

    @staticmethod
    def find_spec(name: str, *_: object) -> ModuleSpec | None:
        if name != WORKER:
            return None
        path = str(Path(__file__).resolve().parents[1] / "worker.py")
        return spec_from_file_location(name, path, loader=SourceFileLoader(name, path))


sys.meta_path.insert(0, SimulatedWorker())

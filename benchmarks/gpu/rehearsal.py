"""The substitute for a board in a rehearsal: the tests' simulated NVML library, compiled here."""

from __future__ import annotations

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# The counter's: as short as a busy machine can poll it, because every window waits for ticks.
TICK_S = "0.05"


def simulated_board(folder: Path) -> dict[str, str]:
    """Compile the library into the folder; the environment in which NVML's binding finds it and one board."""
    sys.path.append(str(ROOT / "tests"))
    from energy.simulated_gpus import build_driver

    folder.mkdir(parents=True, exist_ok=True)
    build_driver(folder)
    folders = [str(folder), *filter(None, [os.environ.get("LD_LIBRARY_PATH")])]
    simulated = {"SIM_NVML_POWER_W": "80", "SIM_NVML_FIELDS": "instant+average", "SIM_NVML_PERIOD_S": TICK_S}
    return {"LD_LIBRARY_PATH": os.pathsep.join(folders), **simulated, "CUDA_VISIBLE_DEVICES": "0"}

"""Two simulated boards for the peer that reads NVML: on a machine without a GPU its monitor would read nothing."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.small_model import ROOT


@contextmanager
def simulated_boards() -> Iterator[dict[str, str]]:
    """What a process needs in its environment to find them. They draw 200 and 300 W."""
    sys.path.insert(0, str(ROOT / "tests"))
    from energy.simulated_gpus import build_driver

    with TemporaryDirectory() as folder:
        build_driver(Path(folder))
        inherited = os.environ.get("LD_LIBRARY_PATH")
        yield {
            "LD_LIBRARY_PATH": f"{folder}:{inherited}" if inherited else folder,
            "SIM_NVML_POWER_W": "200,300",
            "SIM_NVML_NAMES": "H100,H100",
            # Zeus takes the boards that this names, and none where it is empty.
            "CUDA_VISIBLE_DEVICES": "0,1",
        }

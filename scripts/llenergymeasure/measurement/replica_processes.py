"""Start the further processes of an experiment that has several, and join them.

The first is the worker itself. The others are its children, in its process group: whoever kills the worker kills them.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import torch

from llenergymeasure.config import ExperimentConfig
from llenergymeasure.engine.failure import ExperimentFailure
from llenergymeasure.engine.replicas import Alone, Group, Replicas, TensorParallel

RANK, SIZE, WAY, MEETING_POINT = (f"LLENERGYMEASURE_{name}" for name in ("RANK", "SIZE", "WAY", "MEETING_POINT"))
_WAYS = {"data": Replicas, "tensor": TensorParallel}


def open_group(config: ExperimentConfig) -> Group:
    """The group of this experiment, all its processes started. ExperimentFailure where there are too few devices."""
    for way, size in (("data", config.pytorch.num_processes or 1), ("tensor", config.pytorch.tp_size or 1)):
        if size > 1:
            return _start(way, size)
    return Alone()


def join_group() -> Group:
    """The group of the worker that started this process."""
    return _joined(os.environ[WAY], int(os.environ[RANK]), int(os.environ[SIZE]), Path(os.environ[MEETING_POINT]))


def _start(way: str, size: int) -> Group:
    devices = torch.cuda.device_count()
    if torch.cuda.is_available() and devices < size:
        raise ExperimentFailure(
            "load", "TooFewDevices", f"{size} processes need a CUDA device each, there are {devices}"
        )
    with tempfile.TemporaryDirectory() as folder:
        meeting_point = Path(folder) / "store"
        for rank in range(1, size):
            environment = {RANK: str(rank), SIZE: str(size), WAY: way, MEETING_POINT: str(meeting_point)}
            subprocess.Popen(
                [sys.executable, "-m", "llenergymeasure.measurement.replica"],
                stdin=subprocess.DEVNULL,
                env={**os.environ, **environment},
            )
        # Once all are joined, nobody looks for the meeting point any more.
        return _joined(way, 0, size, meeting_point)


def _joined(way: str, rank: int, size: int, meeting_point: Path) -> Group:
    # Where accelerate and transformers look for it, as `accelerate launch` and torchrun would set it.
    names = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": size, "LOCAL_WORLD_SIZE": size}
    os.environ.update({name: str(value) for name, value in names.items()})
    # accelerate sets it to 1 where it finds none, for processes that are started later.
    os.environ.setdefault("OMP_NUM_THREADS", str(torch.get_num_threads()))
    return _WAYS[way](rank, size, meeting_point)

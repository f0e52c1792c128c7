"""Start the further processes of an experiment that has several, and join them.

The first is the worker itself. The others are its children, in its process group: whoever kills the worker kills them.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time

import torch

from llenergymeasure.config import ExperimentConfig
from llenergymeasure.engine.failure import ExperimentFailure
from llenergymeasure.engine.replicas import PATIENCE, Alone, Group, Replicas, TensorParallel
from llenergymeasure.processes.lifeline import PARENT

RANK, SIZE, WAY, PORT = (f"LLENERGYMEASURE_{name}" for name in ("RANK", "SIZE", "WAY", "PORT"))
HERE = "127.0.0.1"
NOTICED_S = 10.0
_WAYS = {"data": Replicas, "tensor": TensorParallel}


def open_group(config: ExperimentConfig) -> Group:
    """The group of this experiment, all its processes started. ExperimentFailure where there are too few devices."""
    for way, size in (("data", config.pytorch.num_processes or 1), ("tensor", config.pytorch.tp_size or 1)):
        if size > 1:
            return _start(way, size)
    return Alone()


def join_group() -> Group:
    """The group of the worker that started this process."""
    rank, size = int(os.environ[RANK]), int(os.environ[SIZE])
    store = torch.distributed.TCPStore(HERE, int(os.environ[PORT]), size, is_master=False, timeout=PATIENCE)
    return _joined(os.environ[WAY], rank, size, store)


def _start(way: str, size: int) -> Group:
    devices = torch.cuda.device_count()
    if torch.cuda.is_available() and devices < size:
        raise ExperimentFailure(
            "load", "TooFewDevices", f"{size} processes need a CUDA device each, there are {devices}"
        )
    # The system picks a free port, and it is taken from the first moment on.
    store = torch.distributed.TCPStore(HERE, 0, size, is_master=True, wait_for_workers=False, timeout=PATIENCE)
    for rank in range(1, size):
        environment = {RANK: str(rank), SIZE: str(size), WAY: way, PORT: str(store.port), PARENT: str(os.getpid())}
        replica = subprocess.Popen(
            [sys.executable, "-m", "llenergymeasure.measurement.worker.replica"],
            stdin=subprocess.DEVNULL,
            env={**os.environ, **environment},
        )
        threading.Thread(target=_end_without, args=(replica,), name="replica", daemon=True).start()
    return _joined(way, 0, size, store)


def _end_without(replica: subprocess.Popen[bytes]) -> None:
    """End this process when a further one fails: the others would wait for one that died before it joined."""
    code = replica.wait()
    if code == 0:
        return
    # For a process that had joined, the library reports the loss, and says more.
    time.sleep(NOTICED_S)
    print(f"a process of this experiment ended with exit code {code}", file=sys.stderr, flush=True)
    os._exit(1)


def _joined(way: str, rank: int, size: int, store: torch.distributed.Store) -> Group:
    # Where accelerate and transformers look for it, as `accelerate launch` and torchrun would set it.
    names = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": size, "LOCAL_WORLD_SIZE": size}
    os.environ.update({name: str(value) for name, value in names.items()})
    # accelerate sets it to 1 where it finds none, for processes that are started later.
    os.environ.setdefault("OMP_NUM_THREADS", str(torch.get_num_threads()))
    return _WAYS[way](rank, size, store)

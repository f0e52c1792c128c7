"""One process at a time: one run of Snakemake at a study, one job at a replicate.

When a process dies, however it dies, the kernel releases its locks. So no stale lock blocks the next call, as
Snakemake's own lock would after a SIGKILL (the default profile turns that one off). On a shared file system they also
hold between machines, where it has `flock` (NFS 4, Lustre and GPFS do).
"""

from __future__ import annotations

import fcntl
import os
import platform
import time
from pathlib import Path
from typing import TextIO

LOOK_AGAIN_S = 0.2
_held: list[TextIO] = []


class AlreadyRunning(Exception):
    """Another process works on the same results; the message names it."""


def hold(path: Path, *, place: Path, patience_s: float = 0.0) -> None:
    """Hold the lock on `place` until this process ends. AlreadyRunning when another holds it for so many seconds."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = path.open("a+", encoding="utf-8")
    end = time.monotonic() + patience_s
    while not _taken(lock):
        if time.monotonic() >= end:
            lock.seek(0)
            holder = lock.read().strip() or "unknown"
            lock.close()
            raise AlreadyRunning(f"another run ({holder}) is working on {place}; wait for it, or stop it")
        time.sleep(LOOK_AGAIN_S)
    lock.truncate(0)
    lock.write(f"{_myself()}\n")
    lock.flush()
    _held.append(lock)


def _taken(lock: TextIO) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _myself() -> str:
    """The process to look for; for a SLURM job also the job to cancel."""
    job = os.environ.get("SLURM_JOB_ID")
    return f"process {os.getpid()} on {platform.node()}" + (f", SLURM job {job}" if job else "")

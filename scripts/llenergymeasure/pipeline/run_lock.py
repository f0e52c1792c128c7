"""One process at a time: one run of Snakemake at a study, one job at a replicate.

The kernel takes these locks back from a process that died, however it died: so no stale lock is ever in the next
call's way, as Snakemake's own would be after a SIGKILL (the default profile turns that one off). On a file system
that machines share they hold between machines, where it has `flock` (NFS 4, Lustre and GPFS do).
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
    """Another process works on the same; the message names it."""


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
            raise AlreadyRunning(f"{place} is being worked on by another run ({holder}); wait for it, or stop it")
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
    """What to look for, and for a job of SLURM what to cancel."""
    job = os.environ.get("SLURM_JOB_ID")
    return f"process {os.getpid()} on {platform.node()}" + (f", SLURM job {job}" if job else "")

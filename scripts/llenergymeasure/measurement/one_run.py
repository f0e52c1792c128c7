"""One run of Snakemake a study at a time.

The kernel takes this lock back from a process that died, however it died: so no stale lock is ever in the next
call's way, as Snakemake's own would be after a SIGKILL (the default profile turns that one off).
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import TextIO

_held: list[TextIO] = []


class AlreadyRunning(Exception):
    """Another process runs this study; the message names it."""


def hold(path: Path) -> None:
    """Hold the lock until this process ends. Raises AlreadyRunning."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = path.open("a+", encoding="utf-8")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.seek(0)
        holder = lock.read().strip() or "unknown"
        lock.close()
        raise AlreadyRunning(
            f"{path.parent} is being worked on by another snakemake (process {holder}); wait for it, or stop it"
        ) from None
    lock.truncate(0)
    lock.write(f"{os.getpid()}\n")
    lock.flush()
    _held.append(lock)

"""One process at a time: one run of Snakemake at a study, one job at a replicate.

A process that dies, however it dies, does not block the next call, as Snakemake's own lock would after a SIGKILL (the
default profile turns that one off). On a shared file system the lock also holds between machines.
"""

from __future__ import annotations

from pathlib import Path

from llenergymeasure.processes.file_lock import FileLock, Held

_held: list[FileLock] = []


class AlreadyRunning(Exception):
    """Another process works on the same results; the message names it."""


class NoLock(Exception):
    """The folder cannot hold a lock; the message says what to change."""


def hold(path: Path, *, place: Path, patience_s: float = 0.0) -> None:
    """Hold the lock on `place` until this process ends. AlreadyRunning: after `patience_s` another still does."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path)
        lock.acquire(patience_s)
    except Held as held:
        raise AlreadyRunning(f"another run ({held}) is working on {place}; wait for it, or stop it") from held
    except OSError as error:
        raise NoLock(
            f"{path}: no lock can be held here ({error.strerror or error}), so two runs could mix their results; use "
            "a folder that you may write to, on another file system if need be (snakemake --directory)"
        ) from error
    _held.append(lock)

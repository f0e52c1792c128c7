"""Memory, room on the disks, and whether two processes can keep out of each other's way there."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil

from llenergymeasure.config.problems.text import first_line
from llenergymeasure.pipeline.doctor.configured import Configured
from llenergymeasure.pipeline.doctor.models import models_not_made
from llenergymeasure.pipeline.doctor.table import Row
from llenergymeasure.pipeline.run.paths import MODELS
from llenergymeasure.processes.file_lock import FileLock
from llenergymeasure.processes.package_path import python_path

RESULTS = Path("results")
CGROUPS, OWN_CGROUPS = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")
# The caches of one study's compiled code and the logs need no more.
LITTLE_BYTES = 5e9
# Tries the lock of a run, and if it is refused the kernel's part of it.
TRY_LOCK = """
import fcntl, sys
from pathlib import Path
from llenergymeasure.processes.file_lock import FileLock
path = Path(sys.argv[1])
if FileLock(path).try_acquire():
    sys.exit("taken")
try:
    with path.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    sys.exit("marker")
except BlockingIOError:
    sys.exit("kernel")
except OSError:
    sys.exit("no flock")
"""
_KEPT_OUT = {
    "kernel": "by the kernel and by marker files",
    "marker": "by marker files: flock grants a lock to everybody here",
    "no flock": "by marker files: this file system has no flock",
}


def storage_rows(configured: Configured) -> Iterator[Row]:
    yield memory_row()
    yield from room_rows(configured)
    yield locking_row(RESULTS)


def memory_row() -> Row:
    memory = psutil.virtual_memory()
    found = f"{memory.total / 1e9:.0f} GB, {memory.available / 1e9:.0f} GB of it available"
    limit = _memory_limit()
    if limit is not None and limit < memory.total:
        found += f"; this process's group may use {limit / 1e9:.0f} GB"
    return Row("memory", found)


def _memory_limit() -> int | None:
    """The least limit of the control groups that this process is in, as SLURM and container runtimes set it."""
    limits = []
    for line in _lines(OWN_CGROUPS):
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            root, name = CGROUPS, "memory.max"
        elif "memory" in controllers.split(","):
            root, name = CGROUPS / "memory", "memory.limit_in_bytes"
        else:
            continue
        own = root / path.lstrip("/")
        # A container may be shown a path of the host that does not exist in it.
        for group in (own, *own.parents):
            with suppress(OSError, ValueError):
                limits.append(int((group / name).read_text(encoding="ascii")))
            if group == root:
                break
    return min(limits, default=None)


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except OSError:
        return []


def room_rows(configured: Configured) -> Iterator[Row]:
    """Downloads go to the Hugging Face cache, and snapshots link to it where both are on one disk."""
    models = models_not_made(configured)
    results, cache = _nearest_folder(RESULTS), _cache_folder()
    missing = sum(model.missing_bytes for model in models)
    apart = cache is not None and cache.stat().st_dev != results.stat().st_dev
    needed = sum(model.size_bytes for model in models) if apart else missing
    yield _room("disk", RESULTS.resolve(), results, needed, "run Snakemake on another disk: `snakemake --directory`")
    if cache is not None and apart:
        yield _room("disk of the cache", cache, cache, missing, "set HF_HOME to a folder on another disk")


def _room(what: str, place: Path, folder: Path, needed: int, remedy: str) -> Row:
    free = shutil.disk_usage(folder).free
    found = f"{free / 1e9:.0f} GB free for {place}"
    if needed:
        found += f"; the study's models need {needed / 1e9:.1f} GB more"
    if needed > free:
        return Row(what, found, "problem", f"make room, or {remedy}")
    if free - needed < LITTLE_BYTES:
        return Row(what, found, "warning", f"models and results need room: make some, or {remedy}")
    return Row(what, found)


def _cache_folder() -> Path | None:
    try:
        from llenergymeasure.models.hub.cache import cache_folder
    except ImportError:
        return None
    return cache_folder()


def _nearest_folder(path: Path) -> Path:
    """The path, or the first folder above it that exists."""
    path = path.resolve()
    return next(folder for folder in (path, *path.parents) if folder.is_dir())


def locking_row(folder: Path) -> Row:
    """Take the lock that runs take, and let another process try. Leaves nothing behind."""
    what = "locks"
    made = not folder.exists()
    path = folder / f".doctor-{os.getpid()}.lock"
    lock = FileLock(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not lock.try_acquire():
            return Row(what, f"{path} cannot be locked although nobody holds it", "problem", "report this")
        while_held = _another_process(path)
        lock.release(delete=True)
        afterwards = _another_process(path)
    except OSError as error:
        advice = f"use a folder that you may write to, on another file system if need be ({MODELS} is in it too)"
        return Row(what, f"{folder.resolve()}: {first_line(error)}", "problem", advice)
    finally:
        with suppress(OSError):
            lock.release(delete=True)
            path.unlink(missing_ok=True)
            if made:
                folder.rmdir()
    if while_held not in _KEPT_OUT or afterwards != "taken":
        advice = "two runs could mix their results: start one at a time, or use another file system"
        return Row(what, f"another process was not kept out of {folder.resolve()}: {while_held}", "problem", advice)
    return Row(what, f"two processes were kept out of each other's way in {folder.resolve()}, {_KEPT_OUT[while_held]}")


def _another_process(path: Path) -> str:
    """Its last word."""
    command = [sys.executable, "-c", TRY_LOCK, str(path)]
    environment = {**os.environ, "PYTHONPATH": python_path(os.environ)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    return done.stderr.strip().rpartition("\n")[2]

"""One process at a time, also between machines, on every file system that creates a file only once.

Two locks are held together. The kernel ends the first one (`flock`) with its process, however that dies. Some file
systems have none, such as Lustre without the mount option `flock` and NFS without lockd, and some grant it on every
machine separately (Lustre with `localflock`, some GPFS and NFS mounts). So the holder also owns a marker, a file that
was created exclusively. It names the process and its machine, and a thread touches it three times per lease.

A marker that outlives its process does not block: the next process of the same machine sees that it is gone; one of
another machine removes a marker that has shown no sign of life for a lease.
"""

from __future__ import annotations

import errno
import math
import os
import platform
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import psutil
from filelock import (
    LeaseCompromise,
    LeaseSettingsMismatch,
    MarkerSoftFileLock,
    OwnerRecord,
    SoftFileLease,
    Timeout,
    UnixFileLock,
)

LEASE_S = 60.0
LOOK_AGAIN_S = 0.2
NO_FLOCK = frozenset({errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK})
# filelock writes the boot's id into the higher half of a process's start.
_BOOT_BITS = 64


class Held(Exception):
    """Another process holds the lock; the text names it."""


class FileLock:
    """The lock of that path. Methods raise OSError where its folder cannot hold a lock."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._marker = path.with_name(f"{path.name}.holder")
        self._kernel = UnixFileLock(path, fallback_to_soft=False)
        self._lease = SoftFileLease(self._marker, lease_duration=LEASE_S, on_compromise=_end_if_taken)
        # The marker's inode and time of change, and since when they have been the same.
        self._look: tuple[tuple[int, int], float] | None = None
        # Only a marker says that somebody holds it, and nobody has touched that since the first look.
        self._in_doubt = False

    def acquire(self, patience_s: float = math.inf) -> None:
        """Wait for the lock. Held: after `patience_s` seconds another process still holds it.

        While it is in doubt whether the other process still exists, this waits on, for a lease at most.
        """
        end_s = time.monotonic() + patience_s
        told = False
        while not self.try_acquire():
            if self._in_doubt and not told:
                self._tell_doubt()
                told = True
            if time.monotonic() >= end_s and not self._in_doubt:
                raise Held(self._holder())
            time.sleep(LOOK_AGAIN_S)

    def try_acquire(self) -> bool:
        """Take the lock if nobody holds it."""
        try:
            self._kernel.acquire(blocking=False)
        except Timeout:
            self._in_doubt = False
            return False
        except OSError as error:
            if error.errno not in NO_FLOCK:
                raise
        taken = False
        try:
            if self._take_marker() or (self._is_abandoned() and self._break_marker()):
                self._path.write_text(f"{describe_process()}\n", encoding="utf-8")
                taken = True
        finally:
            if not taken:
                self.release()
        return taken

    def release(self, *, delete: bool = False) -> None:
        """delete: leave no file behind."""
        self._lease.release()
        if delete:
            # While it is held: who waits for the deleted file sees that, and begins again.
            self._path.unlink(missing_ok=True)
        self._kernel.release()

    def _take_marker(self) -> bool:
        try:
            self._lease.acquire(blocking=False)
        except (Timeout, LeaseSettingsMismatch):
            # The latter: the marker is of a version with another lease.
            return False
        return True

    def _break_marker(self) -> bool:
        self._lease.force_break()
        return self._take_marker()

    def _is_abandoned(self) -> bool:
        """Whether the marker's process has ended, as far as can be seen from here."""
        owner = self._lease.owner
        if owner is not None and _has_ended(owner):
            return True
        try:
            # Opened, because NFS may answer a mere `stat` from its cache.
            with self._marker.open("rb") as marker:
                status = os.fstat(marker.fileno())
        except FileNotFoundError:
            return False
        sign, now_s = (status.st_ino, status.st_mtime_ns), time.monotonic()
        if self._look is None or self._look[0] != sign:
            self._in_doubt = self._look is None
            self._look = sign, now_s
        return now_s - self._look[1] > LEASE_S

    def _tell_doubt(self) -> None:
        print(
            f"{self._holder()} holds {self._path}: waiting up to {LEASE_S:.0f} s for a sign of life; if it no longer "
            f"exists, delete {self._marker}",
            file=sys.stderr,
            flush=True,
        )

    def _holder(self) -> str:
        try:
            holder = self._path.read_text(encoding="utf-8").strip()
        except OSError:
            holder = ""
        return holder or "an unknown process"


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Hold the lock of that path inside, and leave no file behind. Waits as long as another process holds it."""
    lock = FileLock(path)
    lock.acquire()
    try:
        yield
    finally:
        lock.release(delete=True)


def describe_process() -> str:
    """The process to look for; for a SLURM job also the job to cancel."""
    job = os.environ.get("SLURM_JOB_ID")
    return f"process {os.getpid()} on {platform.node()}" + (f", SLURM job {job}" if job else "")


def _has_ended(owner: OwnerRecord) -> bool:
    """Whether a process of this machine is gone; False for one of another machine, or of another container here."""
    own = _own_record()
    here = owner.hostname == own.hostname and _boot(owner) == _boot(own)
    if not here:
        return False
    try:
        # One that nobody has waited for yet, as in a container without an init, holds nothing any more.
        return psutil.Process(owner.pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def _boot(owner: OwnerRecord) -> int | None:
    return None if owner.start is None else owner.start >> _BOOT_BITS


@cache
def _own_record() -> OwnerRecord:
    """What markers of this process say. The library writes a container's number behind the name of the machine."""
    with tempfile.TemporaryDirectory() as folder, MarkerSoftFileLock(Path(folder, "marker")) as lock:
        assert lock.owner is not None, "it is held"
        return lock.owner


def _end_if_taken(loss: LeaseCompromise) -> None:
    """End this process where another one took its lock, which happens when this one was stopped for a lease."""
    owner = MarkerSoftFileLock(loss.lock_file).owner
    if owner is None or owner.token == loss.token:
        # Deleted by hand, or a file system that renumbers its files. The kernel's lock may still hold.
        print(f"{loss.lock_file} is no longer kept up ({loss.reason}): start no other run here", file=sys.stderr)
        return
    print(f"process {owner.pid} on {owner.hostname} took {loss.lock_file}, so this process ends", file=sys.stderr)
    os.kill(os.getpid(), signal.SIGTERM)

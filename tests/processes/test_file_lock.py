"""One process at a time, on file systems whose `flock` works, does not exist, or excludes nobody."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from harness import ROOT

from llenergymeasure.pipeline.run_lock import NoLock, hold
from llenergymeasure.processes.file_lock import FileLock, exclusive

LEASE_S = 0.9
# A process on a file system of that kind and a machine of that name tries once, and holds the lock until told to end.
CONTENDER = """
import errno, fcntl, os, platform, socket, sys
kind, host, path = sys.argv[1:]
real = fcntl.flock

def flock(descriptor, operation):
    if kind == "real":
        return real(descriptor, operation)
    if kind != "granted":
        raise OSError(getattr(errno, kind), os.strerror(getattr(errno, kind)))

fcntl.flock = flock
socket.gethostname = platform.node = lambda: host
from filelock import _util
if "NO_EXCHANGE" in os.environ:
    from filelock import _soft
    _util.exchange_names = _soft.exchange_names = lambda *names: False
from pathlib import Path
from llenergymeasure.processes import file_lock
file_lock.LEASE_S = float(os.environ["LEASE_S"])
lock = file_lock.FileLock(Path(path))
try:
    lock.acquire(0)
except file_lock.Held as held:
    sys.exit(f"refused: {held}")
print("held", flush=True)
sys.stdin.read()
"""
KINDS = ("real", "ENOSYS", "granted")


@contextmanager
def contender(path: Path, kind: str, host: str = "node-a", **environment: str) -> Iterator[subprocess.Popen[str]]:
    settings = {"PYTHONPATH": str(ROOT / "scripts"), "LEASE_S": str(LEASE_S), **environment}
    pipe = subprocess.PIPE
    command = [sys.executable, "-c", CONTENDER, kind, host, str(path)]
    with subprocess.Popen(
        command, env={**os.environ, **settings}, stdin=pipe, stdout=pipe, stderr=pipe, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def holds(process: subprocess.Popen[str]) -> bool:
    assert process.stdout is not None
    return process.stdout.readline() == "held\n"


def end(process: subprocess.Popen[str]) -> str:
    """Its last words."""
    return process.communicate(timeout=30)[1]


def refusing(kind: int) -> Callable[..., None]:
    def flock(*_: int) -> None:
        raise OSError(kind, os.strerror(kind))

    return flock


@pytest.mark.parametrize("kind", KINDS)
def test_one_holds_the_next_is_refused_and_a_killed_holder_does_not_block(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "lock"
    with contender(path, kind) as first:
        assert holds(first)
        with contender(path, kind) as second:
            assert end(second).splitlines()[-1] == f"refused: process {first.pid} on node-a"
        first.kill()
        first.wait()
    begun = time.monotonic()
    with contender(path, kind, LEASE_S="60") as third:
        assert holds(third)
        assert time.monotonic() - begun < 30
        assert end(third) == ""
    assert [file.name for file in tmp_path.iterdir()] == ["lock"]


def test_a_killed_holder_that_nobody_has_waited_for_does_not_block(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with contender(path, "real") as first:
        assert holds(first)
        first.kill()
        begun = time.monotonic()
        with contender(path, "real", LEASE_S="60") as second:
            assert holds(second)
            assert time.monotonic() - begun < 30


def test_a_killed_holder_is_seen_where_two_files_cannot_be_exchanged(tmp_path: Path) -> None:
    """As on NFS and Lustre, where filelock leaves the marker of a dead process."""
    with contender(tmp_path / "lock", "ENOSYS") as first:
        assert holds(first)
        first.kill()
        first.wait()
    begun = time.monotonic()
    with contender(tmp_path / "lock", "ENOSYS", LEASE_S="60", NO_EXCHANGE="1") as second:
        assert holds(second)
        assert time.monotonic() - begun < 30


@pytest.mark.parametrize("settings", [{}, {"NO_EXCHANGE": "1"}], ids=["local", "shared"])
def test_two_machines_that_each_get_the_kernels_lock(tmp_path: Path, settings: dict[str, str]) -> None:
    path = tmp_path / "lock"
    with contender(path, "granted") as first:
        assert holds(first)
        with contender(path, "granted", "node-b", **settings) as second:
            assert end(second).splitlines()[-1] == f"refused: process {first.pid} on node-a"
        first.kill()
        first.wait()
    # Nothing can be known of a process of another machine: it has a lease to show a sign of life.
    begun = time.monotonic()
    with contender(path, "granted", "node-b", **settings) as second:
        assert holds(second)
        assert time.monotonic() - begun > LEASE_S
        assert re.search(
            rf"process {first.pid} on node-a holds {path}: waiting up to 1 s for a sign of life; if it no longer "
            rf"exists, delete {path}\.holder",
            end(second),
        )


def test_a_process_that_was_stopped_until_another_took_its_lock_ends(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with contender(path, "granted") as first:
        assert holds(first)
        first.send_signal(signal.SIGSTOP)
        with contender(path, "granted", "node-b") as second:
            assert holds(second)
            first.send_signal(signal.SIGCONT)
            assert first.wait(timeout=30) == -signal.SIGTERM
            assert f"process {second.pid} on node-b took {path}.holder, so this process ends" in end(first)


def test_a_marker_that_is_deleted_by_hand_ends_nobody(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with contender(path, "real") as first:
        assert holds(first)
        path.with_name("lock.holder").unlink()
        time.sleep(LEASE_S)
        assert "is no longer kept up (marker-missing): start no other run here" in end(first)
        assert first.returncode == 0


@pytest.mark.parametrize("kind", [errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK])
def test_every_answer_of_a_file_system_without_flock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: int
) -> None:
    monkeypatch.setattr(fcntl, "flock", refusing(kind))
    with exclusive(tmp_path / "lock"):
        assert {file.name for file in tmp_path.iterdir()} == {"lock", "lock.holder"}
    assert list(tmp_path.iterdir()) == []


def test_where_nothing_can_be_locked_the_message_says_what_to_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(NoLock, match=r"file/s/\.running\.lock: no lock can be held here \(Not a directory\), so two"):
        hold(tmp_path / "file" / "s" / ".running.lock", place=Path("results/s"))

    monkeypatch.setattr(fcntl, "flock", refusing(errno.EIO))
    with pytest.raises(NoLock, match="Input/output error"):
        hold(tmp_path / "s" / ".running.lock", place=Path("results/s"))


def test_a_lock_can_be_taken_again(tmp_path: Path) -> None:
    lock = FileLock(tmp_path / "lock")
    for _ in range(2):
        assert lock.try_acquire()
        lock.release()
    assert lock.try_acquire()
    lock.release(delete=True)
    assert list(tmp_path.iterdir()) == []

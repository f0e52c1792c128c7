"""Run a command with a time limit, and leave nothing behind that it started."""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

# Everything that a command starts inherits this variable, whatever session it moves to.
MARK = "LLENERGYMEASURE_ACCEPTANCE_PART"
# How long a command may take to end by itself once it was asked to, and how long killed processes may take to vanish.
GRACE_S = 2.0
VANISH_S = 2.0
POLL_S = 0.05
_numbers = itertools.count()


@dataclass(frozen=True)
class Ended:
    """How a command ended. code: None where it was killed at its limit; left_behind: processes that outlived it."""

    code: int | None
    seconds: float
    left_behind: int


def run_limited(
    command: Sequence[str], *, limit_s: float, log: Path, environment: Mapping[str, str], directory: Path
) -> Ended:
    """Run a command, its output added to `log`; at its limit it is asked to end, GRACE_S later all of it is killed.

    Returns at most GRACE_S + VANISH_S after the limit, also where a process cannot be killed because it hangs in the
    kernel.
    """
    mark = f"{os.getpid()}-{next(_numbers)}"
    begun_s = time.monotonic()
    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**environment, MARK: mark},
            cwd=directory,
            start_new_session=True,
        )
    code = _wait(process, limit_s)
    if code is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        _wait(process, GRACE_S)
    ended_s = time.monotonic()
    left = _kill_marked(mark, process)
    return Ended(code, ended_s - begun_s, left)


def kill_all_within(limit_s: float) -> None:
    """Kill every process that any command of this process started; give up after `limit_s`."""
    _within(limit_s, _kill_all)


def _kill_all() -> None:
    for process in _marked(f"{os.getpid()}-"):
        _kill(process)


def _within(limit_s: float, work: Callable[[], None]) -> None:
    """Run in a thread and wait at most `limit_s`: reading about a process that hangs in the kernel may never end."""
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(limit_s)


def _wait(process: subprocess.Popen[bytes], timeout_s: float) -> int | None:
    try:
        return process.wait(timeout=max(timeout_s, 0))
    except subprocess.TimeoutExpired:
        return None


def _kill_marked(mark: str, process: subprocess.Popen[bytes]) -> int:
    """Kill the processes that carry the mark until none is left; returns their number, without the command itself."""
    killed: set[int] = set()
    end_s = time.monotonic() + VANISH_S

    def kill() -> None:
        while time.monotonic() < end_s:
            process.poll()
            left = list(_marked(mark))
            if not left:
                break
            killed.update(left)
            for survivor in left:
                _kill(survivor)
            time.sleep(POLL_S)

    _within(VANISH_S, kill)
    return len(set(killed) - {process.pid})


def _kill(process: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(process, signal.SIGKILL)


def _marked(mark: str) -> Iterator[int]:
    """Processes whose environment holds the mark, or one that begins with it where it ends with a dash."""
    needle = f"{MARK}={mark}".encode() + (b"" if mark.endswith("-") else b"\0")
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and int(folder.name) != os.getpid():
            with contextlib.suppress(OSError):  # it ended meanwhile, or is somebody else's
                if needle in (folder / "environ").read_bytes() + b"\0":
                    yield int(folder.name)

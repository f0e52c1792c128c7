"""A process ends with the one that started it, also where the kernel gives no handle on a process."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator

import psutil
import pytest
from harness import ROOT

# What `os.pidfd_open` does: in gVisor, in a container that forbids it, where Python was built without it.
WAYS = {
    "kernel": "",
    "not implemented": "def refuse(pid): raise OSError(38, 'Function not implemented')\nos.pidfd_open = refuse",
    "forbidden": "def refuse(pid): raise PermissionError(1, 'Operation not permitted')\nos.pidfd_open = refuse",
    "missing": "del os.pidfd_open",
}
CHILD = """
import os, sys, time
{way}
from llenergymeasure.processes.lifeline import {call}
{call}({argument})
print(os.getpid(), flush=True)
time.sleep(60)
"""
PARENT = """
import os, subprocess, sys
environment = {**os.environ, "LLENERGYMEASURE_PARENT_PID": str(os.getpid())}
subprocess.run([sys.executable, "-c", sys.argv[1]], env=environment)
"""


@pytest.fixture
def stranger() -> Iterator[subprocess.Popen[bytes]]:
    """A process that is neither parent nor child of the one that watches it."""
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as process:
        yield process
        process.kill()


def child_of(argument: str, call: str, way: str) -> tuple[subprocess.Popen[str], psutil.Process]:
    """A parent, and its child that watches."""
    child = CHILD.format(way=WAYS[way], call=call, argument=argument)
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, child],
        env={**os.environ, "PYTHONPATH": str(ROOT / "scripts")},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert parent.stdout is not None
    child_pid = parent.stdout.readline()
    assert child_pid, "the child ended although its parent was there"
    return parent, psutil.Process(int(child_pid))


def assert_ends(process: psutil.Process) -> None:
    # Killed children of a killed parent may be nobody's: not waited for, but gone.
    deadline = time.monotonic() + 5
    while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline, "it outlived the process it was to end with"
        time.sleep(0.05)


@pytest.mark.parametrize("way", WAYS)
def test_a_child_ends_with_its_parent(way: str) -> None:
    parent, child = child_of("", "end_with_parent", way)
    time.sleep(1.5)
    assert child.is_running()
    parent.kill()
    assert_ends(child)
    parent.wait()


@pytest.mark.parametrize("way", ["kernel", "not implemented"])
def test_a_job_ends_with_a_snakemake_that_is_not_its_parent(way: str, stranger: subprocess.Popen[bytes]) -> None:
    parent, child = child_of(str(stranger.pid), "end_with", way)
    # Not waited for here: a process that was killed and has left its number behind is gone anyway.
    stranger.kill()
    assert_ends(child)
    parent.kill()
    parent.wait()

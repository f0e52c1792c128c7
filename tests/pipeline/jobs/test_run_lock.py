"""One process at a time at a study and at a replicate; no process outlives the one that started it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from harness import ROOT

from llenergymeasure.pipeline.run_lock import AlreadyRunning, hold

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT / "scripts")}
HOLD = """
import sys, time, pathlib
from llenergymeasure.pipeline.run_lock import hold
hold(pathlib.Path(sys.argv[1]), place=pathlib.Path("results/s"))
print("held", flush=True)
time.sleep(600)
"""
# A process starts a child and dies before the child has looked who its parent is.
CHILD = """
import sys, time, os
while os.getppid() == int(os.environ["LLENERGYMEASURE_PARENT_PID"]):
    time.sleep(0.01)
from llenergymeasure.processes.lifeline import end_with_parent
end_with_parent()
time.sleep(600)
"""
PARENT = """
import os, subprocess, sys
environment = {**os.environ, "LLENERGYMEASURE_PARENT_PID": str(os.getpid())}
child = subprocess.Popen([sys.executable, "-c", sys.argv[1]], env=environment, stdout=subprocess.DEVNULL)
print(child.pid, flush=True)
"""
# Aggregation in two processes, in the middle of its reading.
AGGREGATION = """
import time
from types import SimpleNamespace
from llenergymeasure.results.tables import sessions

def read(*_, **__):
    time.sleep(600)

sessions._read = read
experiments = {str(place): SimpleNamespace(session_id=str(place)) for place in range(sessions.WORTH_A_PROCESS)}
list(sessions.read_sessions(SimpleNamespace(experiments=experiments, replicates=1, nominal_level=0.95), [], None, 2))
"""


def test_the_holder_of_a_lock_is_named_and_a_killed_holder_releases_it(tmp_path: Path) -> None:
    lock = tmp_path / "s" / ".running.lock"
    command = [sys.executable, "-c", HOLD, str(lock)]
    with subprocess.Popen(
        command, env={**ENVIRONMENT, "SLURM_JOB_ID": "77"}, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == "held\n"
        with pytest.raises(AlreadyRunning) as refused:
            hold(lock, place=Path("results/s"))
        assert str(refused.value).startswith("another run (")
        assert "is working on results/s; " in str(refused.value)
        assert f"process {holder.pid} on " in str(refused.value) and "SLURM job 77" in str(refused.value)
        holder.kill()
    hold(lock, place=Path("results/s"), patience_s=5)
    assert lock.read_text(encoding="utf-8").startswith(f"process {os.getpid()} on ")


def test_a_child_whose_parent_died_at_once_ends_too() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PARENT, CHILD], env=ENVIRONMENT, capture_output=True, text=True, check=True
    )
    child, end = int(done.stdout), time.monotonic() + 20
    while psutil.pid_exists(child):
        assert time.monotonic() < end
        time.sleep(0.05)


def test_processes_that_aggregate_end_with_the_job() -> None:
    with subprocess.Popen([sys.executable, "-c", AGGREGATION], env=ENVIRONMENT) as job:
        end = time.monotonic() + 60
        while len(children := psutil.Process(job.pid).children()) < 2:
            assert time.monotonic() < end and job.poll() is None
            time.sleep(0.05)
        time.sleep(0.5)
        job.kill()
        assert not psutil.wait_procs(children, timeout=20)[1]

"""Ctrl-C in the middle of a batch: what was measured stays measured, and the next call finishes the rest."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import psutil
import pytest
from harness import ROOT, Pipeline, study

pytestmark = pytest.mark.slow
PATIENCE_S = 240


def test_an_interrupted_batch_goes_on_where_it_stopped(pipeline: Pipeline) -> None:
    pipeline.write(study(matrix={"pytorch.batch_size": [1, 2, 3]}, measurement={"min_window_s": 4.0}))
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")]
    command += ["--directory", str(pipeline.directory), "--cores", "2", "--configfile", "study.yaml"]
    running = subprocess.Popen(
        command,
        cwd=pipeline.directory,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        # What a shell starts in the background ignores Ctrl-C, and so would its children: a terminal's doesn't.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    end = time.monotonic() + PATIENCE_S
    while not (kept := _journaled(pipeline)):
        assert time.monotonic() < end and running.poll() is None
        time.sleep(0.1)
    children = psutil.Process(running.pid).children(recursive=True)
    os.killpg(running.pid, signal.SIGINT)
    assert running.wait(timeout=60) != 0
    gone, alive = psutil.wait_procs(children, timeout=30)
    assert gone and not alive
    assert pipeline.records() == []

    done = pipeline.snakemake()
    assert done.returncode == 0, done.output
    assert set(done.jobs) >= {"measure", "aggregate", "report"}
    assert "load" not in done.jobs and "warmup" not in done.jobs
    records = {record["experiment_id"]: record for record in pipeline.records()}
    assert len(records) == 3
    for experiment_id, record in kept.items():
        assert records[experiment_id] == record
    assert {record["worker_pid"] for record in records.values()} > {record["worker_pid"] for record in kept.values()}


def _journaled(pipeline: Pipeline) -> dict[str, dict[str, object]]:
    """Records in journals by experiment; empty while nothing has been measured."""
    lines = [
        line
        for path in pipeline.results().rglob(".journal/*.jsonl")
        for line in path.read_text(encoding="utf-8").splitlines(keepends=True)
        if line.endswith("\n")
    ]
    records = [json.loads(line)["record"] for line in lines]
    return {record["experiment_id"]: record for record in records}

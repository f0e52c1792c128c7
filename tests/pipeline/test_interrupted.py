"""Whatever is killed, and whenever: no process stays, nothing is half there, and the next call does the rest.

Each study here is interrupted at one stage after the other.
"""

from __future__ import annotations

import json
import shutil
import signal
from typing import Any

import pytest
from harness import Done, Pipeline, study
from pipeline.interruptions import (
    REPLICA,
    WORKER,
    assert_all_end,
    assert_whole,
    at_work,
    interrupt,
    started,
)

STAGES = ["model", "prompts", "load", "warmup", "measure", "aggregate"]
# What is left to do once a stage has begun.
RULES = [*STAGES[:4], "calibrated", *STAGES[4:], "costs", "report", "crate"]
LEFT = {stage: set(RULES[RULES.index(stage) :]) for stage in STAGES}
THREE = study(matrix={"pytorch.batch_size": [1, 2, 3]}, measurement={"min_window_s": 1.0})
pytestmark = pytest.mark.timeout(1800)


@pytest.mark.slow
def test_a_killed_snakemake_ends_every_process_and_the_next_call_continues(pipeline: Pipeline) -> None:
    pipeline.write(study(matrix={"pytorch.batch_size": [1, 2]}))
    kept = interrupted(pipeline, "measure", "snakemake")
    assert_finished(pipeline, LEFT["measure"], kept)


@pytest.mark.slow
@pytest.mark.parametrize("how", ["ctrl-c", "snakemake", "manager"])
def test_the_next_call_does_what_is_missing(pipeline: Pipeline, how: str) -> None:
    pipeline.write(THREE)
    interrupted(pipeline, "model", how)
    interrupted(pipeline, "load", how, jobs=LEFT["model"])
    warmed = interrupted(pipeline, "warmup", how, jobs=LEFT["load"])
    kept = interrupted(pipeline, "measure", how, jobs=LEFT["warmup"])
    interrupted(pipeline, "aggregate", how, jobs=LEFT["measure"])
    assert_finished(pipeline, LEFT["aggregate"], kept)
    calibration = json.loads(next(pipeline.results().glob("sessions/*/calibration.json")).read_text("utf-8"))
    for name, entry in calibration["experiments"].items():
        assert entry["status"] == "ok"
        if name in warmed:
            assert entry.items() <= warmed[name].items()


@pytest.mark.slow
@pytest.mark.parametrize("how", ["hang-up", "preempted"])
def test_a_process_that_is_asked_to_end_records_no_failure(pipeline: Pipeline, how: str) -> None:
    pipeline.write(THREE)
    for stage, before in (("load", None), ("warmup", LEFT["load"]), ("measure", LEFT["warmup"])):
        kept = interrupted(pipeline, stage, how, jobs=before, at=WORKER)
    # The worker alone: then the job says so.
    with started(pipeline) as running:
        running.wait_for_process("measure")
        running.wait_for_process(WORKER).terminate()
        assert running.process.wait(timeout=120) == 1
        assert_all_end(pipeline)
        assert "the worker was asked to end (SIGTERM)" in running.output
        assert "Traceback (most recent call last)" not in running.output
    assert_finished(pipeline, LEFT["measure"], kept)


@pytest.mark.slow
def test_snakemake_that_is_asked_to_end_finishes_its_running_job(pipeline: Pipeline) -> None:
    pipeline.write(THREE)
    with started(pipeline) as running:
        at_work(running, "measure")
        second = pipeline.snakemake()
        assert second.returncode == 1
        assert f"another run (process {running.process.pid} on " in second.output
        assert "is working on results/quick; " in second.output
        running.process.send_signal(signal.SIGTERM)
        assert running.process.wait(timeout=240) != 0
        assert_all_end(pipeline)
    assert len(pipeline.records()) == 3
    assert_finished(pipeline, LEFT["aggregate"], {})


@pytest.mark.slow
def test_a_killed_worker_is_a_failure_that_can_be_measured_again(pipeline: Pipeline) -> None:
    pipeline.write(THREE)
    for stage, failures in (("load", 3), ("warmup", 1), ("measure", 1)):
        with started(pipeline) as running:
            at_work(running, stage)
            running.wait_for_process(WORKER).kill()
            assert running.process.wait(timeout=480) == 0, running.output
            assert_all_end(pipeline)
        assert_whole(pipeline)
        failed = [record["failure"] for record in pipeline.records() if record["status"] == "failed"]
        assert [(failure["stage"], failure["class"]) for failure in failed] == [(stage, "WorkerDied")] * failures
        assert len(pipeline.records()) == 3
        assert pipeline.snakemake("-n").jobs == {}
        # As results/README.md says.
        shutil.rmtree(pipeline.results() / "sessions")
        if stage == "load":
            shutil.rmtree(pipeline.results() / "setups")
    assert_finished(pipeline, LEFT["warmup"], {})


@pytest.mark.slow
def test_processes_that_share_an_experiment_end_together(pipeline: Pipeline) -> None:
    two = {"pytorch": {"num_processes": 2}}
    pipeline.write(study(defaults=two, matrix={"pytorch.batch_size": [1, 2]}, measurement={"min_window_s": 1.0}))
    interrupted(pipeline, "load", "manager", at=REPLICA)
    interrupted(pipeline, "warmup", "snakemake", jobs=LEFT["load"], at=REPLICA)
    kept = interrupted(pipeline, "measure", "ctrl-c", jobs=LEFT["warmup"], at=REPLICA)
    assert_finished(pipeline, LEFT["measure"], kept)
    # One that dies alone takes the experiment with it, and no more.
    for name in (REPLICA, WORKER):
        shutil.rmtree(next(pipeline.results().glob("sessions/*/1")))
        with started(pipeline) as running:
            running.wait_for_process("measure")
            running.wait_for_process(name).kill()
            assert running.process.wait(timeout=480) == 0, running.output
            assert_all_end(pipeline)
        assert sorted(record["status"] for record in pipeline.records()) == ["failed", "ok"]


@pytest.mark.slow
def test_a_half_filled_compile_cache_is_made_again(pipeline: Pipeline) -> None:
    pipeline.write(study(defaults={"pytorch": {"torch_compile": True}}))
    with started(pipeline) as running:
        running.wait_for_process("load")
        caches = pipeline.results() / "setups"
        running.wait_for(lambda: any(path.is_file() for path in caches.glob("*/compile-cache/**/*.cpp")))
        running.process.kill()
        assert_all_end(pipeline)
    assert_finished(pipeline, LEFT["load"], {})


def interrupted(
    pipeline: Pipeline, stage: str, how: str, *, jobs: set[str] | None = None, at: str | None = None
) -> dict[str, Any]:
    """Start the study, interrupt it at a stage (when process `at` is there), and look at what is left.

    jobs: what this call should have to do. Returns what the stage had kept of its work.
    """
    with started(pipeline) as running:
        kept = at_work(running, stage)
        manager = running.wait_for_process(stage)
        if at is not None:
            running.wait_for_process(at)
        interrupt(running, how, manager)
        assert running.process.wait(timeout=120) != 0
        assert_all_end(pipeline)
        # A script that is still importing says so in Python's words.
        assert stage == "aggregate" or "Traceback (most recent call last)" not in running.output
        assert jobs is None or running.jobs == jobs
    assert_whole(pipeline)
    return kept


def assert_finished(pipeline: Pipeline, jobs: set[str], kept: dict[str, Any]) -> None:
    """The next call does these jobs and no others, keeps what was kept, and leaves nothing to do."""
    done = pipeline.snakemake()
    assert done.returncode == 0, done.output
    assert set(done.jobs) - {"all", "total"} == jobs, done.output
    records = {record["experiment_id"]: record for record in pipeline.records()}
    assert set(records) == set(pipeline.plan()["experiments"]) and len(pipeline.records()) == len(records)
    assert {record["status"] for record in records.values()} == {"ok"}
    assert all(records[name] == record for name, record in kept.items())
    if len(kept) < len(records):
        others = {record["worker_pid"] for name, record in records.items() if name not in kept}
        assert others.isdisjoint(record["worker_pid"] for record in kept.values())
    assert_whole(pipeline)
    assert (pipeline.results() / "report.html").exists()
    assert not list(pipeline.results().rglob(".journal"))
    nothing: Done = pipeline.snakemake("-n")
    assert nothing.returncode == 0 and nothing.jobs == {}, nothing.output

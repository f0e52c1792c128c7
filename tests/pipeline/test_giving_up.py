"""Timeouts of an experiment and of a study, and the breaker after failures in a row."""

from __future__ import annotations

import json
import time

import pytest
from harness import Pipeline, study

pytestmark = pytest.mark.timeout(1800)
# Caches of the offloading kind need a CUDA device: without one these experiments fail as soon as they are warmed up.
FAILING = ["offloaded", "offloaded_static"]


@pytest.mark.slow
def test_failures_in_a_row_end_the_call_and_the_next_one_tries_again(pipeline: Pipeline) -> None:
    matrix = {"pytorch.cache_implementation": ["dynamic", *FAILING], "pytorch.batch_size": [1, 2]}
    pipeline.write(study(matrix=matrix, measurement={"max_consecutive_failures": 2}))
    done = pipeline.snakemake()
    assert done.returncode == 1
    assert "measurement.max_consecutive_failures: 2 in a row failed, the last in generate" in done.output
    assert "Traceback (most recent call last)" not in done.output
    assert pipeline.records() == []
    # The cause is mended: what had worked is not done again.
    matrix = {"pytorch.cache_implementation": ["dynamic"], "pytorch.batch_size": [1, 2]}
    pipeline.write(study(matrix=matrix, measurement={"max_consecutive_failures": 2}))
    again = pipeline.snakemake()
    assert again.returncode == 0, again.output
    assert "load" not in again.jobs
    assert [record["status"] for record in pipeline.records()] == ["ok", "ok"]


@pytest.mark.slow
def test_a_study_whose_time_is_over_continues_in_the_next_call(pipeline: Pipeline) -> None:
    matrix = {"pytorch.batch_size": [1, 2, 3]}
    whole = study(matrix=matrix, measurement={"min_window_s": 10.0, "study_timeout_s": 0.001})
    pipeline.write(whole)
    done = pipeline.snakemake()
    assert done.returncode == 1
    assert "measurement.study_timeout_s: 0.001 s have passed; what was measured is kept" in done.output
    assert "Traceback (most recent call last)" not in done.output
    assert not list(pipeline.results().glob("setups/*/load.json"))

    # Each call measures for a while, however many it takes; none repeats what another has done.
    whole["measurement"]["study_timeout_s"] = 30.0
    pipeline.write(whole)
    calls = 0
    while done.returncode:
        done = pipeline.snakemake()
        calls += 1
        assert done.returncode == 0 or "s have passed" in done.output, done.output
        assert calls < 20
    assert calls > 1
    assert [record["status"] for record in pipeline.records()] == ["ok"] * 3


@pytest.mark.slow
def test_an_experiment_that_takes_too_long_fails_and_the_others_are_measured(pipeline: Pipeline) -> None:
    matrix = {"max_output_tokens": [4, 20_000]}
    pipeline.write(study(matrix=matrix, measurement={"experiment_timeout_s": 60.0}))
    start = time.monotonic()
    done = pipeline.snakemake()
    assert done.returncode == 0, done.output
    assert time.monotonic() - start > 60
    records = {record["config"]["max_output_tokens"]: record for record in pipeline.records()}
    assert records[4]["status"] == "ok"
    assert records[20_000]["failure"]["class"] == "Timeout"
    assert records[20_000]["failure"]["reason"] == "no answer within 60 s (measurement.experiment_timeout_s)"
    calibration = json.loads(next(pipeline.results().glob("sessions/*/calibration.json")).read_text(encoding="utf-8"))
    assert len(calibration["experiments"]) == 2

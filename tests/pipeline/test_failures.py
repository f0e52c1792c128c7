"""A failed experiment is a result; a stopped study resumes; a killed worker costs one experiment."""

from __future__ import annotations

import csv

import pytest
from harness import Pipeline, study

FLASH = {"pytorch.attn_implementation": ["sdpa", "flash_attention_2"]}


def test_a_missing_kernel_is_recorded_and_the_rest_is_measured(pipeline: Pipeline) -> None:
    # The one that fails is the one whose output the other should be compared with.
    reference = {"pytorch.attn_implementation": "flash_attention_2"}
    pipeline.write(study(defaults={"precision": "bf16"}, matrix=FLASH, measurement={"reference": reference}))
    done = pipeline.snakemake()
    assert done.returncode == 0, done.output
    with (pipeline.results() / "summary.csv").open(newline="") as lines:
        good, failed = csv.DictReader(lines)
    assert (good["status"], failed["status"]) == ("ok", "failed")
    assert "flash" in failed["failure_reason"].lower()
    assert failed["throughput_output_tokens_per_s_mean"] == failed["energy_per_output_token_j_mean"] == ""
    record = next(record for record in pipeline.records() if record["status"] == "failed")
    assert record["output_match"] is None
    assert record["failure"]["stage"] == "load"
    assert record["failure"]["class"] == "ImportError"
    assert (pipeline.directory / record["failure"]["log"]).read_text(encoding="utf-8").count("Traceback") == 1
    (whole,) = (record for record in pipeline.records() if record["status"] == "ok")
    assert whole["output_match"]["comparable"] is False
    assert "the reference experiment failed" in whole["output_match"]["reason"]
    summary = (pipeline.results() / "summary.txt").read_text(encoding="utf-8")
    assert len(summary.strip().splitlines()) == 5
    assert "1 failed" in summary.lower() or "failures: 1" in summary.lower() or "1 failure" in summary.lower()
    assert "flash" in (pipeline.results() / "report.html").read_text(encoding="utf-8").lower()


@pytest.mark.slow
def test_on_failure_stop_ends_with_one_and_keeps_what_was_measured(pipeline: Pipeline) -> None:
    # A cache of the offloading kind needs a CUDA device: its experiment fails while it is warmed up.
    matrix = {"pytorch.cache_implementation": ["dynamic", "offloaded"]}
    pipeline.write(study(matrix=matrix, on_failure="stop"))
    done = pipeline.snakemake()
    assert done.returncode == 1
    assert "on_failure: stop" in done.output
    assert "Traceback (most recent call last)" not in done.output
    assert not (pipeline.results() / "report.html").exists()
    assert (next((pipeline.results() / "setups").iterdir()) / "load.json").exists()
    pipeline.write(study(matrix={"pytorch.cache_implementation": ["dynamic"]}, on_failure="stop"))
    again = pipeline.snakemake()
    assert again.returncode == 0, again.output
    assert "load" not in again.jobs
    assert [record["status"] for record in pipeline.records()] == ["ok"]


@pytest.mark.slow
def test_a_study_in_which_everything_fails_still_has_a_report(pipeline: Pipeline) -> None:
    pipeline.write(study(defaults={"precision": "bf16", "pytorch": {"attn_implementation": "flash_attention_2"}}))
    done = pipeline.snakemake()
    assert done.returncode == 0, done.output
    assert (pipeline.results() / "report.html").exists()
    assert "Traceback" not in done.output

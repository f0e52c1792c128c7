"""Snakemake's calls that only look at a study: they need no `--cores`."""

from __future__ import annotations

import pytest
from harness import Pipeline, study

LOOKS = (
    "--unlock",
    "--detailed-summary",
    "--dag",
    "--rulegraph",
    "--filegraph",
    "--d3dag",
    "--list-changes=params",
    "--list-rules",
)


def test_a_summary_needs_no_cores(pipeline: Pipeline) -> None:
    pipeline.write(study())
    done = pipeline.snakemake("--summary", cores=None)
    assert done.returncode == 0, done.output
    assert "results/quick/validation.json" in done.output
    assert not (pipeline.directory / "results").exists()


@pytest.mark.slow
@pytest.mark.parametrize("look", LOOKS)
def test_a_call_that_runs_no_job_needs_no_cores(pipeline: Pipeline, look: str) -> None:
    pipeline.write(study())
    done = pipeline.snakemake(look, cores=None)
    assert done.returncode == 0, done.output
    assert "cores" not in done.output


@pytest.mark.slow
def test_a_finished_study_is_reported_and_its_metadata_removed_without_cores(pipeline: Pipeline) -> None:
    pipeline.write(study())
    assert pipeline.snakemake().returncode == 0
    report = pipeline.snakemake("--report", "whole.html", cores=None)
    assert report.returncode == 0, report.output
    assert (pipeline.directory / "whole.html").stat().st_size > 1e5
    removed = pipeline.snakemake("--cleanup-metadata", "results/quick/validation.json", cores=None)
    assert removed.returncode == 0, removed.output

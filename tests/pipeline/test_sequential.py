"""A study that continues until its figure is precise enough. Real Snakemake; only the worker is simulated."""

from __future__ import annotations

import json

import pandas as pd
import pytest
from harness import SIMULATED, Pipeline, study

from llenergymeasure.results.statistics.estimates import estimate
from llenergymeasure.results.statistics.sequential import nominal_level

METRIC = "e2e_latency_s"
# The simulated worker fails without a batch size.
BATCH = {"pytorch": {"batch_size": 2}}
SETTINGS = {"target_metric": METRIC, "replicates": 3, "max_replicates": 4}


@pytest.fixture(scope="module")
def precise(tmp_path_factory: pytest.TempPathFactory) -> tuple[Pipeline, str]:
    """One that wants more precision than four replicates give, and what the terminal showed."""
    pipeline = Pipeline(tmp_path_factory.mktemp("sequential"))
    pipeline.write(study(defaults=BATCH, measurement={**SETTINGS, "target_relative_ci": 1e-6}))
    done = pipeline.snakemake(**SIMULATED)
    assert done.returncode == 0, done.output
    return pipeline, done.output


def test_it_continues_up_to_the_maximum(precise: tuple[Pipeline, str]) -> None:
    pipeline, output = precise
    assert sorted(record["replicate"] for record in pipeline.records()) == [1, 2, 3, 4]
    interim = [json.loads((pipeline.results() / "interim" / f"{number}.json").read_text()) for number in (3, 4)]
    assert [analysis["reason"] for analysis in interim] == [None, "max_replicates"]
    assert "after 3 replicates the widest 95 % interval of e2e_latency_s is" in output
    assert "replicate 4 of at most 4" in output


def test_all_intervals_are_corrected_for_interim_analyses(precise: tuple[Pipeline, str]) -> None:
    pipeline, _ = precise
    row = pd.read_csv(pipeline.results() / "summary.csv").iloc[0]
    assert row["replicates"] == 4
    for metric in (METRIC, "energy_per_output_token_j"):
        wanted = estimate((record["metrics"][metric] for record in pipeline.records()), nominal_level(3, 4))
        assert (row[f"{metric}_ci95_low"], row[f"{metric}_ci95_high"]) == pytest.approx((wanted.low, wanted.high))


def test_a_reader_learns_how_it_ended(precise: tuple[Pipeline, str]) -> None:
    pipeline, _ = precise
    said = "no more replicates are allowed (measurement.max_replicates)"
    assert said in (pipeline.results() / "summary.txt").read_text()
    assert said in (pipeline.results() / "report.html").read_text()


def test_a_second_run_has_nothing_to_do(precise: tuple[Pipeline, str]) -> None:
    done = precise[0].snakemake("-n", cores=1)
    assert done.returncode == 0, done.output
    assert "Nothing to be done" in done.output


def test_a_coarser_target_is_analysed_again_without_new_measurements(precise: tuple[Pipeline, str]) -> None:
    pipeline, _ = precise
    pipeline.write(study(defaults=BATCH, measurement={**SETTINGS, "target_relative_ci": 0.99}))
    done = pipeline.snakemake(**SIMULATED)
    assert done.returncode == 0, done.output
    assert not {"measure", "warmup", "load"} & set(done.jobs)
    assert json.loads((pipeline.results() / "interim" / "3.json").read_text())["reason"] == "precise"
    assert pd.read_csv(pipeline.results() / "summary.csv").iloc[0]["replicates"] == 3


def test_a_fixed_number_of_replicates_has_no_interim_analysis(pipeline: Pipeline) -> None:
    pipeline.write(study(measurement={"replicates": 3}))
    assert "interim" not in pipeline.snakemake("-n", cores=1).jobs

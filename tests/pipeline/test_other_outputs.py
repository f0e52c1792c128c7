"""Whose output is it? A study in which one setting changes what the model says, from file to report."""

from __future__ import annotations

import csv
from typing import Any

import pyarrow.parquet as pq
import pytest
from harness import Pipeline, study

pytestmark = pytest.mark.slow

# The reference is the second in the study, of a setup that is not the first.
EXPERIMENTS = [
    {"precision": "bf16"},
    {"pytorch.batch_size": 3},
    {"pytorch.batch_size": 1},
    {"pytorch.no_repeat_ngram_size": 1},
    {"n_prompts": 2},
]


def written(**measurement: Any) -> dict[str, Any]:
    defaults = {"max_output_tokens": 12}
    return study(
        defaults=defaults, experiments=EXPERIMENTS, measurement={"replicates": 1, "min_window_s": 0.2, **measurement}
    )


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    pipeline = Pipeline(tmp_path_factory.mktemp("answers"))
    pipeline.write(written(reference={"precision": "fp32", "pytorch.batch_size": 3}))
    done = pipeline.snakemake()
    assert done.returncode == 0, done.output
    return pipeline


def in_order(pipeline: Pipeline) -> list[dict[str, Any]]:
    """The records in the order of the study."""
    by_id = {record["experiment_id"]: record for record in pipeline.records()}
    return [by_id[name] for name in pipeline.plan()["experiments"]]


def test_every_record_is_compared_with_the_reference(measured: Pipeline) -> None:
    other_setup, reference, again, banned, fewer = in_order(measured)
    assert measured.plan()["reference"] == reference["experiment_id"]
    for record in (other_setup, reference, again, banned, fewer):
        assert record["status"] == "ok"
        assert record["output_match"]["reference"] == reference["experiment_id"]
    for record in (reference, again):
        assert record["output_match"]["identical"] is True
        assert record["output_match"]["first_difference"] is None
        assert record["output_match"]["equal_token_share"] == 1.0
    # No token may come twice: the model has to say something else, and is still the same model.
    assert banned["output_match"]["identical"] is False
    assert banned["output_match"]["equal_token_share"] < 1
    assert banned["output_digest"] != reference["output_digest"]
    score = reference["output_match"]["reference_logprob_mean"]
    assert score < 0
    assert banned["output_match"]["reference_logprob_mean"] == again["output_match"]["reference_logprob_mean"] == score
    # Other weights are another model, if only a little.
    assert other_setup["output_match"]["reference_logprob_mean"] != score
    assert other_setup["output_match"]["reference_logprob_mean"] == pytest.approx(score, abs=0.05)
    assert fewer["output_match"]["comparable"] is False
    assert "other prompts" in fewer["output_match"]["reason"]


def test_the_first_difference_is_that_of_the_kept_outputs(measured: Pipeline) -> None:
    outputs: dict[str, list[list[int]]] = {}
    for path in (measured.results() / "sessions").glob("*/outputs.parquet"):
        for row in pq.read_table(path).to_pylist():
            outputs.setdefault(row["experiment_id"], []).append(row["output_ids"])
    _, reference, _, banned, _ = in_order(measured)
    pairs = list(zip(outputs[banned["experiment_id"]], outputs[reference["experiment_id"]], strict=True))
    assert len(pairs) == 3
    unequal = [place for mine, other in pairs for place in range(12) if mine[place] != other[place]]
    assert banned["output_match"]["first_difference"] == min(unequal)
    assert banned["output_match"]["equal_token_share"] == pytest.approx(1 - len(unequal) / 36)


def test_summary_and_report_say_it(measured: Pipeline) -> None:
    with (measured.results() / "summary.csv").open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    *_, banned, fewer = (record["output_match"] for record in in_order(measured))
    assert {row["output_match_reference"] for row in rows} == {measured.plan()["reference"]}
    assert [row["output_match_identical"] for row in rows[1:]] == ["True", "True", "False", ""]
    assert rows[3]["output_match_first_difference"] == str(banned["first_difference"])
    assert float(rows[3]["output_match_equal_token_share"]) == banned["equal_token_share"]
    assert rows[4]["output_match_reference_logprob"] == ""
    page = (measured.results() / "report.html").read_text(encoding="utf-8")
    assert "Same output?" in page
    assert f"differs from token {banned['first_difference']}" in page
    assert f"not compared: {fewer['reason']}".replace("'", "&#39;") in page


def test_naming_another_reference_measures_again_and_nothing_else(measured: Pipeline) -> None:
    measured.write(written(), "unnamed.yaml")
    done = measured.snakemake("-n", configfile="unnamed.yaml")
    assert "Nothing to be done" in done.output
    measured.write(written(reference={"precision": "bf16"}), "other.yaml")
    done = measured.snakemake("-n", configfile="other.yaml")
    assert done.jobs["measure"] == 2
    assert not {"model", "load", "warmup"} & set(done.jobs)
    # One of the same session, whose warm-up wrote the same file.
    measured.write(written(reference={"precision": "fp32", "pytorch.batch_size": 1}), "neighbour.yaml")
    done = measured.snakemake("-n", configfile="neighbour.yaml")
    assert done.jobs["measure"] == 2
    assert "warmup" not in done.jobs

"""Warm-up and measurement of a session, with the comparison at their end. Real workers, a random tiny model."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
from harness import ROOT, TINY, study

from llenergymeasure.config import study_from_mapping
from llenergymeasure.config.settings.model_ref import parse_model_ref
from llenergymeasure.config.study.lock import ModelsLock
from llenergymeasure.models.snapshot import materialise
from llenergymeasure.pipeline.placement import Placement
from llenergymeasure.pipeline.plan.plan import plan_from_study
from llenergymeasure.pipeline.plan.prompt_sets import prompt_set
from llenergymeasure.pipeline.provenance.environment import describe_environment
from llenergymeasure.pipeline.run_limits import RunLimits
from llenergymeasure.pipeline.stages import Setting, run_measure, run_warmup
from llenergymeasure.records.calibration import SessionCalibration
from llenergymeasure.records.schema import SCHEMA_VERSION
from llenergymeasure.records.storage.journal import Journal
from llenergymeasure.records.study.checks import CheckedSet, PromptCheck
from llenergymeasure.records.study.plan import Plan
from llenergymeasure.records.study.warmth import NO_TEMPERATURES


def unchecked(plan: Plan) -> PromptCheck:
    """Of prompts that could not be checked before."""
    entries = plan.experiments.values()
    return PromptCheck(
        schema_version=SCHEMA_VERSION,
        model="m",
        content_digest="d",
        embedding_rows=None,
        positions=None,
        sets={
            prompt_set(entry)[0]: CheckedSet(digest=None, failure=None, experiments=1, longest=None)
            for entry in entries
        },
        problems=(),
    )


@pytest.fixture(scope="module")
def warm(tmp_path_factory: pytest.TempPathFactory) -> tuple[Setting, SessionCalibration, list[dict[str, Any]]]:
    """One session of two experiments, warmed up: where things lie, the calibration, the outputs."""
    folder = tmp_path_factory.mktemp("session")
    plan = plan_from_study(
        study_from_mapping(study(defaults={"max_input_tokens": 400}, matrix={"pytorch.batch_size": [1, 3]})),
        existing=None,
    )
    setting = Setting(
        plan=plan,
        snapshots={"model": materialise(parse_model_ref(TINY), None, folder / "tiny", lock=ModelsLock()).path},
        compile_cache=folder / "compile-cache",
        min_window_s=0.1,
        energy_resolution=0.01,
        foreign_load=0.05,
        timeout_s=120,
        stop_on_failure=False,
        environment={**describe_environment(ROOT, Path("no-lock")), "placement": Placement(workers=1).to_dict()},
        neighbours=None,
        quantized=None,
        prompts=unchecked(plan),
        limits=RunLimits(folder, timeout_s=None, most_failures=None),
        log=folder / "log",
    )
    journal = Journal(folder / ".journal" / "warmup.jsonl")
    calibration, outputs = run_warmup(setting, plan.sessions[0].session_id, None, journal)
    return setting, calibration, outputs


def measured(
    warm: tuple[Setting, SessionCalibration, list[dict[str, Any]]], outputs: list[dict[str, Any]], journal: Path
) -> list[dict[str, Any]]:
    """The records of a replicate that is compared with these outputs of the reference."""
    setting, calibration, _ = warm
    rows = [row for row in outputs if row["experiment_id"] == setting.plan.reference]
    records = Journal(journal)
    run_measure(
        setting, setting.plan.sessions[0].session_id, 1, calibration, rows, NO_TEMPERATURES, records, lambda _: None
    )
    return [entry["record"] for entry in records.entries()]


def test_the_warm_up_keeps_what_every_request_put_out(warm: tuple[Setting, Any, list[dict[str, Any]]]) -> None:
    setting, calibration, outputs = warm
    keys = [(row["experiment_id"], row["request_index"]) for row in outputs]
    assert keys == [(name, place) for name in setting.plan.experiments for place in range(3)]
    assert {len(row["output_ids"]) for row in outputs} == {4}
    # No padding, whatever the batch: the same prompts one at a time and three at once.
    assert [row["prompt_ids"] for row in outputs[:3]] == [row["prompt_ids"] for row in outputs[3:]]
    assert len({len(row["prompt_ids"]) for row in outputs}) > 1
    assert not any("outputs" in entry for entry in calibration.to_plain()["experiments"].values())


def test_a_setup_is_scored_once_and_its_experiments_share_a_worker(warm: Any, tmp_path: Path) -> None:
    records = measured(warm, warm[2], tmp_path / "x.jsonl")
    assert [record["status"] for record in records] == ["ok", "ok"]
    assert len({record["worker_pid"] for record in records}) == 1
    for record in records:
        assert record["output_match"]["reference"] == warm[0].plan.reference
        assert record["output_match"]["identical"] is True
        assert record["output_match"]["reference_tokens"] == 12
        assert record["output_match"]["reference_logprob_mean"] < 0
    # Sessions of other sizes round differently: equal to the last bit means that it was worked out once.
    assert len({record["output_match"]["reference_logprob_mean"] for record in records}) == 1


def test_a_score_that_fails_costs_no_measurement_and_the_next_gets_a_new_worker(warm: Any, tmp_path: Path) -> None:
    unknown = copy.deepcopy(warm[2])
    unknown[0]["output_ids"][0] = 1_000_000
    records = measured(warm, unknown, tmp_path / "x.jsonl")
    assert [record["status"] for record in records] == ["ok", "ok"]
    assert len({record["worker_pid"] for record in records}) == 2
    for record in records:
        assert record["metrics"]["throughput_output_tokens_per_s"] > 0
        assert record["output_match"]["reference_logprob_mean"] is None
        assert "this model knows 300 tokens" in record["output_match"]["logprob_reason"]
        assert record["output_match"]["first_difference"] == 0

"""Which figures may be compared: by batching, and by source and boundary of energy."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from results.study_folder import MEASURED, StudyFolder, study_folder

from llenergymeasure.records.metrics import SERVICE_METRICS
from llenergymeasure.results.statistics.comparable import account_from_parts, energy_account, why_not_comparable
from llenergymeasure.results.statistics.ratios import reference_ratios

ENERGY = "energy_per_output_token_j"


def config(batching: str | None) -> dict[str, dict[str, str | None]]:
    return {"pytorch": {"batching": batching}}


@pytest.mark.parametrize("metric", SERVICE_METRICS)
def test_service_is_not_compared_between_ways_of_batching(metric: str) -> None:
    why = why_not_comparable(metric, config("continuous"), config(None))
    assert why is not None
    assert "starts its clock differently in continuous and static batching" in why
    assert f"compare {metric.removeprefix('service_')}" in why
    assert why_not_comparable(metric, config("static"), config(None)) is None


def test_everything_from_submission_is_compared() -> None:
    for metric in ("ttft_s", "e2e_latency_s", "tpot_s", ENERGY):
        assert why_not_comparable(metric, config("continuous"), config("static")) is None


def test_ratios_of_service_keep_to_one_way_of_batching(tmp_path: Path) -> None:
    folder = study_folder(tmp_path / "study", matrix={"pytorch.batching": ["static", "continuous"]})
    results = folder.results()
    assert set(reference_ratios(results.plan, results.runs, "ttft_s")) == set(folder.ids)
    assert set(reference_ratios(results.plan, results.runs, "service_ttft_s")) == {folder.ids[0]}


def test_an_account_is_source_and_boundary() -> None:
    runs = pd.DataFrame({"energy_source": ["a", "a", None], "boundary": ["gpu", "cpu", None]}, dtype="string")
    assert list(energy_account(runs)[:2]) == ["a over gpu", "a over cpu"]
    assert energy_account(runs).isna()[2]
    assert account_from_parts("a", "gpu") == "a over gpu"


def bounded(folder: StudyFolder, experiment: int, replicates: tuple[int, ...]) -> StudyFolder:
    for replicate in replicates:
        folder.change(experiment, replicate, lambda record: record.update(boundary="cpu+dram"))
    return folder


def test_joules_of_another_boundary_have_no_ratio(tmp_path: Path) -> None:
    summary = bounded(study_folder(tmp_path / "study", source=MEASURED), 1, (1, 2, 3)).results().summary
    assert list(summary["boundary"]) == ["cpu", "cpu+dram", "cpu", "cpu"]
    assert list(summary[f"{ENERGY}_ratio"].isna()) == [False, True, False, False]
    assert summary["ttft_s_ratio"].notna().all()
    assert summary[f"{ENERGY}_mean"].notna().all()


def test_replicates_of_different_boundaries_have_no_mean(tmp_path: Path) -> None:
    summary = bounded(study_folder(tmp_path / "study", source=MEASURED), 1, (2,)).results().summary
    assert list(summary[f"{ENERGY}_mean"].isna()) == [False, True, False, False]
    assert "measured:nvml-total-energy over cpu, measured:nvml-total-energy over cpu+dram" in summary["notes"][1]

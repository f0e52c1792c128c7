"""Sequential stopping: what an interim analysis decides, and that its intervals cover the true value."""

from __future__ import annotations

import numpy as np
import pytest
from results.made_up_records import made_up_plan, made_up_record
from scipy import stats

from llenergymeasure.records.calibration import CalibratedExperiment, SessionCalibration
from llenergymeasure.records.measurement import MeasurementRecord
from llenergymeasure.records.schema import SCHEMA_VERSION
from llenergymeasure.records.study.plan import Plan, Stopping
from llenergymeasure.records.validity import Validity
from llenergymeasure.results.statistics.sequential import nominal_level
from llenergymeasure.results.tables.interim import in_words, interim_analysis

METRIC = "e2e_latency_s"


def plan(budget_s: float | None = None, metric: str = METRIC) -> Plan:
    stopping = Stopping(target_relative_ci=0.05, metric=metric, max_replicates=6, budget_s=budget_s)
    return made_up_plan({"one": {}, "two": {}}, stopping=stopping)


def records(one: list[float | None], two: list[float | None]) -> list[MeasurementRecord]:
    return [
        made_up_record(name, None if value is None else {METRIC: value})
        for name, values in (("one", one), ("two", two))
        for value in values
    ]


CALIBRATIONS = [
    SessionCalibration(
        schema_version=SCHEMA_VERSION,
        session_id="session",
        setup_id="setup",
        fingerprint="",
        startup_s=4.0,
        experiments={
            name: CalibratedExperiment(status="ok", failure=None, expected_s=seconds)
            for name, seconds in (("one", 10.0), ("two", 6.0))
        },
    )
]
STEADY: list[float | None] = [1.0, 1.001, 0.999]
SHAKY: list[float | None] = [1.0, 1.2, 0.8]


def test_it_ends_when_every_experiment_is_precise_enough() -> None:
    analysis = interim_analysis(plan(), 3, records(STEADY, STEADY), CALIBRATIONS)
    assert (analysis.done, analysis.reason) == (True, "precise")
    level = nominal_level(3, 6)
    half = stats.t.ppf((1 + level) / 2, 2) * 0.001 / 3**0.5
    assert analysis.widest == pytest.approx(half, rel=1e-9)
    assert "precise enough" in in_words(analysis)


def test_it_continues_while_one_experiment_is_not_precise_enough() -> None:
    analysis = interim_analysis(plan(), 3, records(STEADY, SHAKY), CALIBRATIONS)
    assert (analysis.done, analysis.reason) == (False, None)
    assert analysis.widest is not None and analysis.widest > 0.05
    assert "another replicate is measured" in in_words(analysis)


@pytest.mark.parametrize(
    ("replicates", "budget_s", "reason"),
    [(6, None, "max_replicates"), (3, 79.0, "budget"), (3, 81.0, None), (5, 100.0, "budget")],
)
def test_it_ends_at_the_maximum_of_replicates(replicates: int, budget_s: float | None, reason: str | None) -> None:
    # A replicate takes 4 + 10 + 6 s, so the fourth ends at 80 s.
    analysis = interim_analysis(plan(budget_s=budget_s), replicates, records(SHAKY, SHAKY), CALIBRATIONS)
    assert analysis.reason == reason
    assert analysis.done is (reason is not None)


def test_a_failed_experiment_does_not_count_and_one_replicate_has_no_precision() -> None:
    assert interim_analysis(plan(), 3, records(STEADY, [None] * 3), CALIBRATIONS).reason == "precise"
    assert interim_analysis(plan(), 3, records(STEADY, [1.0, None, None]), CALIBRATIONS).reason is None
    assert interim_analysis(plan(), 3, records([None] * 3, [None] * 3), CALIBRATIONS).reason == "nothing"


def test_estimated_joules_have_no_interval_to_stop_by() -> None:
    """They follow from time, so the study ends with what to set instead, and does not go on to the maximum."""
    metric = "energy_per_request_j"
    figures = {"estimated:codecarbon": "estimate", "measured:rapl": "precise"}
    for source, reason in figures.items():
        runs = [
            made_up_record(name, {metric: value}).model_copy(update={"energy_source": source})
            for name in ("one", "two")
            for value in STEADY
        ]
        analysis = interim_analysis(plan(metric=metric), 3, runs, CALIBRATIONS)
        assert (analysis.done, analysis.reason) == (True, reason)
        assert (analysis.widest is None) == (reason == "estimate")
        advice = "set measurement.target_metric: throughput_output_tokens_per_s"
        assert (advice in in_words(analysis)) == (reason == "estimate")


def test_suspect_runs_do_not_decide_where_two_others_remain() -> None:
    runs = records([*STEADY, 1.5], [*STEADY, 1.0])
    suspect = Validity(verdict="suspect", reasons=())
    assert interim_analysis(plan(), 4, runs, CALIBRATIONS).reason is None
    runs[3] = runs[3].model_copy(update={"validity": suspect})
    analysis = interim_analysis(plan(), 4, runs, CALIBRATIONS)
    assert (analysis.reason, analysis.experiments[0].n) == ("precise", 3)


def test_one_analysis_needs_no_correction_and_more_analyses_need_more() -> None:
    assert nominal_level(5, 5) == 0.95
    levels = [nominal_level(3, last) for last in (4, 6, 10, 30)]
    assert 0.95 < levels[0] < levels[1] < levels[2] <= levels[3] < 0.99


def coverage(level: float, spread: float, target: float, studies: int, seed: int) -> float:
    """Share of simulated studies whose interval, where they stopped, holds the true mean, 1."""
    draws = np.random.default_rng(seed).normal(1.0, spread, (studies, 30))
    held = 0
    for values in draws:
        for count in range(3, 31):
            mean, error = values[:count].mean(), values[:count].std(ddof=1) / count**0.5
            half = stats.t.ppf((1 + level) / 2, count - 1) * error
            if half <= target * mean:
                break
        held += abs(mean - 1) <= half
    return held / studies


@pytest.mark.parametrize("spread", [0.005, 0.01, 0.015])
def test_the_interval_at_the_stop_covers_the_true_value_in_95_percent_of_1000_studies(spread: float) -> None:
    # Of 1,000 studies 93.6 % to 96.4 % hold it by chance alone where 95 % truly do.
    assert coverage(nominal_level(3, 30), spread, 0.01, 1000, seed=1) >= 0.936


def test_without_the_correction_it_does_not() -> None:
    assert coverage(0.95, 0.015, 0.01, 1000, seed=1) < 0.936

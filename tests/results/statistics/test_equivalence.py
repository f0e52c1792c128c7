"""Same, different or not known: what each answer may be wrong in."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from llenergymeasure.results.statistics.equivalence import LogRatio, judge, log_ratio
from llenergymeasure.results.statistics.split_plot import SplitPlot, analyse


def simulated(rng: np.random.Generator, mean: float, spread: float, replicates: int) -> SplitPlot:
    """Two experiments of one session each."""
    values = {
        name: {replicate: mean * math.exp(spread * rng.standard_normal()) for replicate in range(1, replicates + 1)}
        for name in ("e0", "e1")
    }
    return analyse(values, {name: name for name in values})


@pytest.mark.parametrize("spreads", [(0.02, 0.02), (0.01, 0.06)])
def test_the_interval_of_a_ratio_covers_the_true_value_as_often_as_it_says(spreads: tuple[float, float]) -> None:
    rng = np.random.default_rng(11)
    held = 0
    for _ in range(600):
        ratio = log_ratio(simulated(rng, 10.0, spreads[0], 3), simulated(rng, 8.0, spreads[1], 4), "e0")
        assert ratio is not None
        interval = ratio.interval(0.95)
        assert interval.low is not None and interval.high is not None
        held += interval.low <= 0.8 <= interval.high
    assert 0.93 <= held / 600 <= 0.97


def test_a_difference_as_large_as_the_margin_is_called_the_same_in_5_percent(level: float = 0.05) -> None:
    """The size of TOST at the edge of the margin, where the scatter is small against it (Schuirmann 1987)."""
    rng = np.random.default_rng(4)
    same = 0
    for _ in range(1500):
        old, new = simulated(rng, 1.0, 0.004, 5), simulated(rng, 1.02, 0.004, 5)
        ratio = log_ratio(old, new, "e0")
        assert ratio is not None
        same += judge(ratio, 0.02).answer == "same"
    assert same / 1500 == pytest.approx(level, abs=3 * math.sqrt(level * (1 - level) / 1500))


def test_the_days_are_in_the_interval_once_for_each_study() -> None:
    rng = np.random.default_rng(2)
    old, new = simulated(rng, 1.0, 0.01, 4), simulated(rng, 1.0, 0.02, 9)
    bare, with_days = log_ratio(old, new, "e0"), log_ratio(old, new, "e0", 0.03)
    assert bare is not None and bare.standard_error is not None
    assert with_days is not None and with_days.standard_error is not None
    assert with_days.standard_error**2 == pytest.approx(bare.standard_error**2 + 2 * 0.03**2)
    # Satterthwaite: what is stated has no degrees of freedom to lose.
    assert with_days.standard_error**4 / with_days.df == pytest.approx(bare.standard_error**4 / bare.df)
    assert with_days.value == bare.value


@pytest.mark.parametrize(
    ("value", "error", "answer"),
    [
        (0.0, 0.005, "same"),
        (0.0, 0.02, "not known"),
        # Significantly more than nothing, and less than what matters.
        (0.01, 0.002, "same"),
        (0.02, 0.002, "not known"),
        (0.025, 0.001, "different"),
        (-0.025, 0.001, "different"),
        (-0.0199, 0.0, "different"),
        (-0.0197, 0.0, "same"),
        (0.5, 0.3, "not known"),
        (0.5, None, "not known"),
        (0.0, None, "not known"),
    ],
)
def test_each_answer(value: float, error: float | None, answer: str) -> None:
    assert judge(LogRatio(value, error, 50.0, 5, 5), 0.02).answer == answer


def test_different_holds_for_all_experiments_at_once_and_same_for_each() -> None:
    ratio = LogRatio(0.03, 0.004, 20.0, 5, 5)
    assert judge(ratio, 0.02).answer == "different"
    assert judge(ratio, 0.02, experiments=50).answer == "not known"
    verdict = judge(LogRatio(0.0, 0.005, 20.0, 5, 5), 0.02, experiments=50)
    half = stats.t.ppf(0.95, 20.0) * 0.005
    assert verdict.answer == "same"
    assert (verdict.alone.low, verdict.alone.high) == pytest.approx((math.exp(-half), math.exp(half)))
    assert verdict.ratio.high is not None and verdict.ratio.high > math.exp(half)


def test_replicates_that_were_not_measured_alike_are_not_compared() -> None:
    rng = np.random.default_rng(3)
    old, new = simulated(rng, 1.0, 0.01, 3), simulated(rng, 1.0, 0.01, 3)
    boards = {1: "a", 2: "b", 3: None}
    assert log_ratio(old, new, "e0", groups=(boards, {1: "c", 2: "d", 3: None})) is None
    ratio = log_ratio(old, new, "e0", groups=(boards, {1: "b", 2: "c", 3: "b"}))
    assert ratio is not None and (ratio.old, ratio.new) == (1, 2)
    mine = (math.log(new.values["e0"][1]) + math.log(new.values["e0"][3])) / 2
    assert ratio.value == pytest.approx(mine - math.log(old.values["e0"][2]))
    assert log_ratio(old, new, "not there") is None

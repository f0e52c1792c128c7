"""Intervals against figures worked out by hand or by another routine."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from llenergymeasure.results.statistics import Estimate, estimate, ratio


def test_student_interval_of_three_values() -> None:
    # s = 1, t(0.975, 2) = 4.302653 from a printed table, so the half width is 4.302653 / √3.
    found = estimate([1.0, 2.0, 3.0])
    assert (found.n, found.mean) == (3, 2.0)
    assert found.low == pytest.approx(2 - 4.302653 / math.sqrt(3), abs=1e-6)
    assert found.high == pytest.approx(2 + 4.302653 / math.sqrt(3), abs=1e-6)
    assert found.half_width == pytest.approx(2.484138, abs=1e-6)


def test_one_value_has_no_interval() -> None:
    assert estimate([7.0]) == Estimate(1, 7.0, None, None)


@pytest.mark.parametrize("hole", [None, math.nan, math.inf])
def test_unknown_values_are_left_out_and_counted(hole: float | None) -> None:
    assert estimate([4.0, hole, 6.0]) == estimate([4.0, 6.0])
    assert estimate([4.0, hole, 6.0]).n == 2
    assert estimate([hole]) == Estimate(0, None, None, None)


def test_the_interval_covers_the_truth_19_times_of_20() -> None:
    draws = np.random.default_rng(1).normal(50.0, 4.0, size=(2000, 3))
    hits = sum(found.low <= 50.0 <= found.high for found in map(estimate, draws.tolist()))  # type: ignore[operator]
    assert 0.935 < hits / 2000 < 0.965


def test_ratio_agrees_with_welch_on_logarithms() -> None:
    one, other = [2.0, 2.3, 2.1], [1.0, 1.4, 1.1, 1.2]
    found = ratio(one, other)
    assert found is not None
    welch = stats.ttest_ind(np.log(one), np.log(other), equal_var=False).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((math.exp(welch.low), math.exp(welch.high)))
    assert found.value == pytest.approx(stats.gmean(one) / stats.gmean(other))
    assert found.distinguishable is True


def test_close_figures_are_not_distinguishable() -> None:
    found = ratio([1.0, 1.2, 1.1], [1.05, 1.15, 1.0])
    assert found is not None
    assert found.distinguishable is False


def test_a_ratio_needs_two_replicates_for_an_interval_and_positive_figures() -> None:
    single = ratio([2.0], [1.0])
    assert single is not None
    assert (single.value, single.low, single.distinguishable) == (2.0, None, None)
    assert ratio([0.0, 1.0], [1.0, 1.0]) is None
    assert ratio([], [1.0]) is None
    same = ratio([2.0, 2.0], [1.0, 1.0])
    assert same is not None
    assert (same.low, same.high) == (2.0, 2.0)

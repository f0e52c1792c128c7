"""Intervals against figures worked out by hand or by another routine."""

from __future__ import annotations

import math

import numpy as np
import pytest

from llenergymeasure.results.statistics.estimates import Estimate, estimate


def test_student_interval_of_three_values() -> None:
    # s = 1, t(0.975, 2) = 4.302653 from a printed table, so the half width is 4.302653 / √3.
    interval = estimate([1.0, 2.0, 3.0])
    assert (interval.n, interval.mean) == (3, 2.0)
    assert interval.low == pytest.approx(2 - 4.302653 / math.sqrt(3), abs=1e-6)
    assert interval.high == pytest.approx(2 + 4.302653 / math.sqrt(3), abs=1e-6)
    assert interval.half_width == pytest.approx(2.484138, abs=1e-6)


def test_one_value_has_no_interval() -> None:
    assert estimate([7.0]) == Estimate(1, 7.0, None, None)


@pytest.mark.parametrize("hole", [None, math.nan, math.inf])
def test_unknown_values_are_omitted_and_counted(hole: float | None) -> None:
    assert estimate([4.0, hole, 6.0]) == estimate([4.0, 6.0])
    assert estimate([4.0, hole, 6.0]).n == 2
    assert estimate([hole]) == Estimate(0, None, None, None)


def test_the_interval_covers_the_true_value_19_times_of_20() -> None:
    draws = np.random.default_rng(1).normal(50.0, 4.0, size=(2000, 3))
    hits = sum(interval.low <= 50.0 <= interval.high for interval in map(estimate, draws.tolist()))  # type: ignore[operator]
    assert 0.935 < hits / 2000 < 0.965

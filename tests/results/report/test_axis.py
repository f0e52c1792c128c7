"""Axes of the figures."""

from __future__ import annotations

import re

import pytest

from llenergymeasure.results.report.figures.axis import linear_axis


@pytest.mark.parametrize(
    ("low", "high"), [(0.0, 1.0), (3.1, 4.2), (0.0, 0.00023), (0.0, 1.31e9), (5.0, 5.0), (0.0, 0.0)]
)
def test_axes_hold_their_range_and_have_even_round_ticks(low: float, high: float) -> None:
    axis = linear_axis(low, high)
    assert axis.low <= low
    assert axis.high >= high
    assert 3 <= len(axis.ticks) <= 12
    steps = {round(after[0] - before[0], 9) for before, after in zip(axis.ticks, axis.ticks[1:], strict=False)}
    assert len(steps) == 1
    shown = [float(text.replace(" ", "")) for _, text in axis.ticks]
    for (fraction, _), value in zip(axis.ticks, shown, strict=True):
        assert value == pytest.approx(axis.low + fraction * (axis.high - axis.low), abs=(axis.high - axis.low) * 1e-6)
    assert all(re.fullmatch(r"-?[\d ]+(\.\d+)?", text) for _, text in axis.ticks)

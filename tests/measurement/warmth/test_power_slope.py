"""Power against temperature, from the trace of a warm-up."""

from __future__ import annotations

import math
import random
from typing import Any

import pytest

from llenergymeasure.measurement.warmth.power_slope import power_slope
from llenergymeasure.measurement.warmth.warming import Warming

BEGUN_S = 1000.0


def warming(ends_s: list[float], *, steady: int = 4) -> Warming:
    return Warming(
        latencies_s=tuple(1.0 for _ in ends_s),
        temperatures_c=tuple(60.0 for _ in ends_s),
        elapsed_s=tuple(ends_s),
        stable=True,
        steady_passes=steady,
        begun_s=BEGUN_S,
        start_c=40.0,
        rested=True,
    )


def trace(
    per_c_w: float, *, boards: int = 1, from_c: float = 40.0, seconds: float = 200.0, noise_w: float = 3.0
) -> list[dict[str, Any]]:
    """300 W at 40 °C, ten readings a second, while the board warms up with 60 s towards 77 °C; whole degrees."""
    draw = random.Random(1)
    rows = []
    for tenth in range(int(10 * seconds)):
        true_c = 77 - (77 - from_c) * math.exp(-tenth / 10 / 60)
        power_w = (300 + per_c_w * (true_c - 40)) / boards + draw.gauss(0, noise_w)
        rows += [
            {
                "monotonic_s": BEGUN_S + tenth / 10,
                "device": f"GPU-{n}",
                "power_w": power_w,
                "temperature_c": round(true_c),
            }
            for n in range(boards)
        ]
    return rows


@pytest.mark.parametrize("pass_s", [0.05, 1.0, 6.0])
@pytest.mark.parametrize("boards", [1, 2])
def test_the_slope_of_the_simulated_board_is_found(pass_s: float, boards: int) -> None:
    ends = [pass_s * n for n in range(1, int(200 / pass_s))]
    slope = power_slope(warming(ends), trace(0.4, boards=boards))
    assert slope is not None
    assert slope.per_c_w == pytest.approx(0.4, abs=3 * slope.standard_w)
    assert 0 < slope.standard_w < 0.05


def test_a_board_that_slows_down_at_a_fixed_power_counts_too() -> None:
    """A pass takes 0.1 % longer per °C: its energy grows as if power did."""
    at_s, ends = 0.0, []
    while at_s < 190:
        at_s += 1 + 0.001 * (37 - 37 * math.exp(-at_s / 60))
        ends.append(at_s)
    slope = power_slope(warming(ends), trace(0.0, noise_w=0.5))
    assert slope is not None and slope.per_c_w == pytest.approx(0.3, rel=0.15)


def test_a_warm_up_that_shows_no_slope_has_none() -> None:
    ends = [1.0 * n for n in range(1, 200)]
    assert power_slope(warming(ends), trace(0.4, from_c=76.0)) is None
    assert power_slope(warming(ends[:7]), trace(0.4, seconds=8.0)) is None
    assert power_slope(warming(ends), []) is None
    without = [{**row, "temperature_c": None} for row in trace(0.4)]
    assert power_slope(warming(ends), without) is None


def test_the_passes_before_the_latencies_were_flat_do_not_count() -> None:
    """The first twenty compile and tune: they take other power."""
    ends = [1.0 * n for n in range(1, 200)]
    rows = [
        {**row, "power_w": row["power_w"] - 150} if row["monotonic_s"] < BEGUN_S + 19 else row for row in trace(0.4)
    ]
    slope = power_slope(warming(ends, steady=20), rows)
    assert slope is not None and slope.per_c_w == pytest.approx(0.4, abs=3 * slope.standard_w)

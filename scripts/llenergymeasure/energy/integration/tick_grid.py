"""When a counter's ticks were, worked out from two ticks that were seen and the readings between them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from llenergymeasure.energy.integration.ticks import Period

# How far the period may be off beyond what its own error says, and in how many standard deviations of that.
PERIOD_TOLERANCE = 0.001
PERIOD_DEVIATIONS = 3
# A reading so close to a tick may have been taken before or after it.
TICK_TOLERANCE_S = 0.001


@dataclass(frozen=True)
class Tick:
    """The counter moved to `energy_j` at `time_s`; joules from any start."""

    time_s: float
    energy_j: float


@dataclass(frozen=True)
class Grid:
    """Ticks at `origin_s` + k·`period_s`, the first and the last of them seen.

    tolerance_s: a reading closer to a tick may have been taken before or after it
    """

    origin_s: float
    period_s: float
    tolerance_s: float = TICK_TOLERANCE_S

    def last_tick(self, time_s: float) -> int | None:
        """Which tick was the last one at `time_s`; None where that is too close to call."""
        at = (time_s - self.origin_s) / self.period_s
        tolerance = self.tolerance_s / self.period_s
        nearest = round(at)
        return None if abs(at - nearest) < tolerance else math.floor(at)

    def tick_time_s(self, tick: int) -> float:
        return self.origin_s + tick * self.period_s


def fit_grid(
    first_s: float, last_s: float, readings: Sequence[tuple[float, float]], period: Period, tolerance_s: float
) -> Grid:
    """The grid through two ticks that were seen, with the count of periods between them that fits the readings best.

    Over a long window the period is not known well enough to count its ticks. A wrong count puts readings on the wrong
    side of a tick, and the power between them then jumps by whole ticks: the count with the smoothest power is taken.
    readings: (time in seconds, counter in joules), in order
    """
    many = (last_s - first_s) / period.period_s
    off = (PERIOD_TOLERANCE + PERIOD_DEVIATIONS * period.error_s / period.period_s) * many
    counts = range(max(1, round(many - off)), max(1, round(many + off)) + 1)
    grids = [Grid(first_s, (last_s - first_s) / count, tolerance_s) for count in counts]
    return grids[0] if len(grids) == 1 else min(grids, key=lambda grid: _roughness(grid, readings))


def ticks_on(grid: Grid, readings: Sequence[tuple[float, float]]) -> list[Tick]:
    """Each reading as the value of the last tick before it; one reading per tick, without the doubtful ones."""
    ticks: dict[int, float] = {}
    for time_s, energy_j in readings:
        tick = grid.last_tick(time_s)
        if tick is not None:
            ticks.setdefault(tick, energy_j)
    return [Tick(grid.tick_time_s(tick), energy_j) for tick, energy_j in sorted(ticks.items())]


def powers_w(ticks: Sequence[Tick]) -> list[float]:
    """Mean power between successive ticks."""
    return [(later.energy_j - earlier.energy_j) / (later.time_s - earlier.time_s) for earlier, later in pairwise(ticks)]


def _roughness(grid: Grid, readings: Sequence[tuple[float, float]]) -> float:
    powers = powers_w(ticks_on(grid, readings))
    squares = [(later - earlier) ** 2 for earlier, later in pairwise(powers)]
    return math.fsum(squares) / len(squares) if squares else 0.0

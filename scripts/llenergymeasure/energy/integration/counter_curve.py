"""What a counter that moves in steps showed at any time between its ticks."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from llenergymeasure.energy.integration.ticks import SeenTick


@dataclass(frozen=True)
class Curve:
    """The counter in joules at its ticks, with straight lines between; beyond its ends with the slope there."""

    times_s: Sequence[float]
    joules: Sequence[float]

    def at(self, time_s: float) -> float:
        right = min(max(bisect_right(self.times_s, time_s), 1), len(self.times_s) - 1)
        earlier_s, later_s = self.times_s[right - 1], self.times_s[right]
        slope_w = (self.joules[right] - self.joules[right - 1]) / (later_s - earlier_s)
        return self.joules[right - 1] + slope_w * (time_s - earlier_s)

    def rise_j(self, start_s: float, end_s: float) -> float:
        """How much the counter rose from one time to another."""
        return self.at(end_s) - self.at(start_s)

    def beyond_s(self, start_s: float, end_s: float) -> float:
        """How much of this time lies outside of the ticks that were seen."""
        return max(0.0, self.times_s[0] - start_s) + max(0.0, end_s - self.times_s[-1])


def curve_through(ticks: Sequence[SeenTick], fine: Collection[SeenTick], period_s: float) -> Curve | None:
    """The curve through the fine ones of all ticks that were seen; None for fewer than two points.

    What the counter showed before a fine tick it had shown since the tick before. Where that one was seen only
    coarsely, it is taken to lie one period earlier, as far as the two readings around it permit.
    """
    points: list[tuple[float, float]] = []
    previous: SeenTick | None = None
    for tick in ticks:
        if tick in fine:
            if previous is None or previous not in fine:
                before_s = tick.time_s - period_s
                if previous is not None:
                    half_s = previous.width_s / 2
                    before_s = min(max(before_s, previous.time_s - half_s), previous.time_s + half_s)
                points.append((before_s, tick.before_mj / 1e3))
            points.append((tick.time_s, tick.after_mj / 1e3))
        previous = tick
    points = [point for place, point in enumerate(points) if place == 0 or point[0] > points[place - 1][0]]
    if len(points) < 2:
        return None
    return Curve([time_s for time_s, _ in points], [joules for _, joules in points])

"""A linear axis with round ticks."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Axis:
    """A linear axis; `ticks` are (fraction of its length, text)."""

    low: float
    high: float
    ticks: list[tuple[float, str]]
    title: str = ""

    def at(self, value: float) -> float:
        """Fraction of the axis, cut off at its ends."""
        return min(max((value - self.low) / (self.high - self.low), 0.0), 1.0)

    def percent(self, value: float) -> float:
        return round(100 * self.at(value), 3)

    def contains(self, value: float) -> bool:
        return self.low <= value <= self.high


def linear_axis(low: float, high: float, title: str = "", *, wanted: int = 6) -> Axis:
    """An axis over low … high, widened to round numbers, with about `wanted` ticks at 1, 2, 2.5 or 5 × 10ⁿ."""
    if not high > low:
        low, high = (0.0, high) if high > 0 else (low - 1.0, low + 1.0)
    rough = (high - low) / wanted
    power = 10.0 ** math.floor(math.log10(rough))
    factor = next(factor for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough * 0.999)
    step = factor * power
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    places = max(0, -math.floor(math.log10(step) + 1e-9) + (factor == 2.5))
    ticks = [
        ((number - first) / (last - first), f"{number * step:,.{places}f}".replace(",", " "))
        for number in range(first, last + 1)
    ]
    return Axis(first * step, last * step, ticks, title)

"""Statistics over replicates. A replicate is a fresh process, so its figures are one draw each."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from scipy import stats

CONFIDENCE = 0.95
# A factor of a million, as a logarithm. With one degree of freedom and many comparisons there is no limit to a width.
WIDEST = math.log(1e6)


@dataclass(frozen=True)
class Estimate:
    """Mean of `n` replicates with a two-sided 95 % interval. None where there is nothing to compute it from."""

    n: int
    mean: float | None
    low: float | None
    high: float | None

    @property
    def half_width(self) -> float | None:
        return None if self.low is None or self.high is None else (self.high - self.low) / 2


@dataclass(frozen=True)
class Ratio:
    """How many times larger one is than the other; `low` and `high` are None where one of them has one replicate."""

    value: float
    low: float | None
    high: float | None

    @property
    def distinguishable(self) -> bool | None:
        """Whether 1 is outside the interval; None without an interval."""
        if self.low is None or self.high is None:
            return None
        return not self.low <= 1 <= self.high


def ratio_from_logs(value: float, half_width: float) -> Ratio:
    """exp(value) and exp(value ± half width); no interval where it is wider than `WIDEST` and says nothing."""
    if not half_width <= WIDEST:
        return Ratio(math.exp(value), None, None)
    return Ratio(math.exp(value), math.exp(value - half_width), math.exp(value + half_width))


def estimate(values: Iterable[float | None], level: float = CONFIDENCE) -> Estimate:
    """Mean and Student's t interval, mean ± t((1 + level)/2, n − 1) · s/√n; unknown values are omitted.

    `level` is above 95 % where there were interim analyses (`sequential.nominal_level`); with them the interval still
    covers the true value in 95 % of studies.

    One value has a mean and no interval: its spread is unknown.
    """
    known = [float(value) for value in values if value is not None and math.isfinite(value)]
    n = len(known)
    if n == 0:
        return Estimate(0, None, None, None)
    mean = math.fsum(known) / n
    if n == 1:
        return Estimate(1, mean, None, None)
    half = float(stats.t.ppf((1 + level) / 2, n - 1)) * math.sqrt(_variance(known) / n)
    return Estimate(n, mean, mean - half, mean + half)


def _variance(values: Sequence[float]) -> float:
    mean = math.fsum(values) / len(values)
    return math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1)

"""Statistics over replicates. A replicate is a fresh process, so its figures are one draw each."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from scipy import stats

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Estimate:
    """Mean of `n` replicates with a two-sided 95 % interval. None where there is nothing to compute it from."""

    n: int
    mean: float | None
    low: float | None
    high: float | None


def estimate(values: Iterable[float | None]) -> Estimate:
    """Mean and Student's t interval, mean ± t(0.975, n − 1) · s/√n; unknown values are left out.

    One value has a mean and no interval: nothing is known of its spread.
    """
    known = [float(value) for value in values if value is not None and math.isfinite(value)]
    n = len(known)
    if n == 0:
        return Estimate(0, None, None, None)
    mean = math.fsum(known) / n
    if n == 1:
        return Estimate(1, mean, None, None)
    variance = math.fsum((value - mean) ** 2 for value in known) / (n - 1)
    half = float(stats.t.ppf((1 + CONFIDENCE) / 2, n - 1)) * math.sqrt(variance / n)
    return Estimate(n, mean, mean - half, mean + half)

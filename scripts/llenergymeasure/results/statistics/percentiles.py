"""Intervals of percentiles over requests, by a bootstrap that resamples replicates."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import combinations_with_replacement

import numpy as np
from numpy.typing import NDArray

from llenergymeasure.results.statistics.estimates import Estimate
from llenergymeasure.results.statistics.sums_of_squares import Floats
from llenergymeasure.results.statistics.variances import critical_t

Counts = NDArray[np.int64]
# A standard error needs no more (Efron & Tibshirani 1993, An Introduction to the Bootstrap, ch. 6).
DRAWS = 200
SEED = 20_241_125
# Up to this many replicates, every possible resample gets its exact weight instead of being drawn.
ENUMERATED = 5
# The bootstrap fails at the end of a sample: with fewer values beyond the percentile there is no interval.
FEWEST_BEYOND = 5


def percentile(parts: Sequence[Floats], share: float, level: float) -> Estimate:
    """The percentile over all values of all replicates, `n` of them, with a 95 % interval over replicates.

    parts: the values of each replicate, one array each; share: 0.95 for the 95th percentile

    Requests of one process are alike, so whole replicates are resampled, each with all its requests (Davison & Hinkley
    1997, Bootstrap Methods and their Application, 3.8). The standard error of that is widened by √(k/(k − 1)) for k
    replicates, and Student's t with k − 1 degrees of freedom makes it an interval (Hesterberg 2015, The American
    Statistician 69). No interval with one replicate, or with fewer than `FEWEST_BEYOND` values beyond it.
    """
    return Pooled(parts).percentiles((share,), level)[0]


class Pooled:
    """The values of all replicates, sorted once. Quantiles are interpolated linearly between neighbours, as numpy does.

    parts: the values of each replicate, one array each
    """

    def __init__(self, parts: Sequence[Floats]) -> None:
        values = np.concatenate(parts)
        order = np.argsort(values)
        self.values = values[order]
        self.count = len(parts)
        self._owners = np.repeat(np.arange(len(parts)), [len(part) for part in parts])[order]

    def quantile(self, share: float) -> float:
        place = share * (len(self.values) - 1)
        low, high = self.values[math.floor(place)], self.values[math.ceil(place)]
        return float(low + (place - math.floor(place)) * (high - low))

    def percentiles(self, shares: Sequence[float], level: float) -> list[Estimate]:
        """As `percentile`, for several shares from the same resamples."""
        n = len(self.values)
        bounded = [self.count > 1 and n * min(share, 1 - share) >= FEWEST_BEYOND for share in shares]
        errors = self._standard_errors(shares) if any(bounded) else np.zeros(len(shares))
        halves = _widening(self.count, level) * errors if any(bounded) else errors
        estimates = []
        for share, half, has in zip(shares, map(float, halves), bounded, strict=True):
            value = self.quantile(share)
            estimates.append(Estimate(n, value, value - half if has else None, value + half if has else None))
        return estimates

    def _standard_errors(self, shares: Sequence[float]) -> Floats:
        """Spread of the quantiles over all resamples of the replicates."""
        counts, weights = _resamples(self.count)
        # How many values of each replicate there are up to each place; resampled, that many times its count.
        upto = np.cumsum(self._owners == np.arange(self.count)[:, None], axis=1, dtype=np.float64)
        results = self._weighted(counts @ upto, np.asarray(shares))
        spread: Floats = np.sqrt(weights @ (results - weights @ results) ** 2)
        return spread

    def _weighted(self, upto: Floats, shares: Floats) -> Floats:
        """Quantiles (resamples × shares) where each value is there as often as a row of `upto`, cumulated, says."""
        places = np.outer(upto[:, -1] - 1, shares)
        whole = np.floor(places)
        # One search for all rows: each is lifted above the one before.
        lift = np.arange(len(upto))[:, None] * (len(self.values) * self.count + 1.0)
        flat = (upto + lift).ravel()
        ends = np.searchsorted(flat, np.stack([whole, np.ceil(places)]) + lift, side="right")
        low, high = self.values[ends - np.arange(len(upto))[:, None] * len(self.values)]
        quantiles: Floats = low + (places - whole) * (high - low)
        return quantiles


@lru_cache
def _widening(count: int, level: float) -> float:
    return critical_t(count - 1, level) * math.sqrt(count / (count - 1))


@lru_cache
def _resamples(count: int) -> tuple[Floats, Floats]:
    """How often each replicate is in each resample (resamples × replicates), and the weight of each resample."""
    counts, weights = zip(*_drawn_or_enumerated(count), strict=True)
    return np.array(counts, dtype=np.float64), np.array(weights)


def _drawn_or_enumerated(count: int) -> Iterator[tuple[Counts, float]]:
    if count <= ENUMERATED:
        for members in combinations_with_replacement(range(count), count):
            counts = np.bincount(members, minlength=count)
            ways = math.factorial(count) / math.prod(math.factorial(int(times)) for times in counts)
            yield counts, ways / count**count
        return
    draw = np.random.default_rng(SEED)
    for _ in range(DRAWS):
        yield np.bincount(draw.integers(0, count, count), minlength=count), 1 / DRAWS

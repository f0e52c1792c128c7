"""Intervals of percentiles over requests: over processes with these prompts, and over prompts and processes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations_with_replacement

import numpy as np
from numpy.typing import NDArray

from llenergymeasure.results.statistics.estimates import Estimate
from llenergymeasure.results.statistics.strata.sums_of_squares import Floats
from llenergymeasure.results.statistics.strata.variances import critical_t

Counts = NDArray[np.int64]
# A standard error needs no more (Efron & Tibshirani 1993, An Introduction to the Bootstrap, ch. 6).
DRAWS = 200
SEED = 20_241_125
# Up to this many replicates, every possible resample gets its exact weight instead of being drawn.
ENUMERATED = 5
# There is no interval at the end of a sample: it needs this many beyond the percentile, values for the interval over
# processes, distinct prompts for the one over prompts.
FEWEST_BEYOND = 5


@dataclass(frozen=True)
class Percentile:
    """A percentile over `n` values of `prompts` independent prompts, with two 95 % intervals; None where there is none.

    low, high: over processes, with these prompts; prompts_low, prompts_high: over prompts and processes
    """

    n: int
    prompts: int
    value: float
    low: float | None
    high: float | None
    prompts_low: float | None
    prompts_high: float | None

    @property
    def over_processes(self) -> Estimate:
        return Estimate(self.n, self.value, self.low, self.high)

    @property
    def over_prompts(self) -> Estimate:
        return Estimate(self.prompts, self.value, self.prompts_low, self.prompts_high)


def percentile(parts: Sequence[Floats], prompts: Sequence[Counts], share: float, level: float) -> Percentile:
    """The percentile over all values of all replicates.

    parts: the values of each replicate, one array each
    prompts: of each value, the prompt, or the group of prompts that was generated together, as a number from 0 that is
        the same in all replicates
    share: 0.95 for the 95th percentile

    Over processes: requests of one process are alike, so whole replicates are resampled, each with all its requests
    (Davison & Hinkley 1997, Bootstrap Methods and their Application, 3.8). The standard error of that is widened by
    √(k/(k − 1)) for k replicates, and Student's t with k − 1 degrees of freedom makes it an interval (Hesterberg 2015,
    The American Statistician 69).

    Over prompts and processes: prompts are crossed with replicates. Resampling the prompts alone, each with all its
    values, gives the share of values below the percentile the variance n/(n − 1) · Σ(bᵢ − F·mᵢ)²/M², for bᵢ of mᵢ
    values of prompt i below, M in all and F = Σbᵢ/M. The share ± its standard error times
    Student's t with n − 1 degrees of freedom has two ends, and the quantiles there bound the percentile (Woodruff 1952,
    JASA 47). The two ways of resampling add up (McCullagh 2000, Bernoulli 6; Owen 2007, Annals of Applied Statistics 1)
    as squares of the distances from the percentile, on each side (Zou & Donner 2008, Statistics in Medicine 27).

    No interval with one replicate, or with fewer than `FEWEST_BEYOND` values, or prompts, beyond it.
    """
    return Pooled(parts, prompts).percentiles((share,), level)[0]


class Pooled:
    """The values of all replicates, sorted once. Quantiles are interpolated linearly between neighbours, as numpy does.

    parts, prompts: as `percentile` takes them
    """

    def __init__(self, parts: Sequence[Floats], prompts: Sequence[Counts]) -> None:
        values = np.concatenate(parts)
        order = np.argsort(values)
        self.values = values[order]
        self.count = len(parts)
        self._owners = np.repeat(np.arange(len(parts)), [len(part) for part in parts])[order]
        self._prompts = np.concatenate(prompts)[order]
        self._values_of = np.bincount(self._prompts).astype(float)
        self.prompts = int(np.count_nonzero(self._values_of))

    def quantile(self, share: float) -> float:
        place = share * (len(self.values) - 1)
        low, high = self.values[math.floor(place)], self.values[math.ceil(place)]
        return float(low + (place - math.floor(place)) * (high - low))

    def percentiles(self, shares: Sequence[float], level: float) -> list[Percentile]:
        """As `percentile`, for several shares from the same resamples."""
        n = len(self.values)
        bounded = [self.count > 1 and n * min(share, 1 - share) >= FEWEST_BEYOND for share in shares]
        errors = self._standard_errors(shares) if any(bounded) else np.zeros(len(shares))
        halves = _widening(self.count, level) * errors if any(bounded) else errors
        estimates = []
        for share, half, has in zip(shares, map(float, halves), bounded, strict=True):
            value = self.quantile(share)
            low, high = (value - half, value + half) if has else (None, None)
            prompts_low = prompts_high = None
            if has and self.prompts >= fewest_prompts(share):
                below, above = (self.quantile(bound) for bound in self._share_bounds(value, share, level))
                prompts_low = value - math.hypot(value - below, half)
                prompts_high = value + math.hypot(above - value, half)
            estimates.append(Percentile(n, self.prompts, value, low, high, prompts_low, prompts_high))
        return estimates

    def _share_bounds(self, value: float, share: float, level: float) -> tuple[float, float]:
        """An interval around `share`, over prompts, of the share of values up to `value`."""
        upto = int(np.searchsorted(self.values, value, side="right"))
        below = np.bincount(self._prompts[:upto], minlength=len(self._values_of))
        total, at = len(self.values), upto / len(self.values)
        variance = self.prompts / (self.prompts - 1) * float(((below - at * self._values_of) ** 2).sum()) / total**2
        half = _critical(self.prompts - 1, level) * math.sqrt(variance)
        return max(0.0, share - half), min(1.0, share + half)

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


def fewest_prompts(share: float) -> int:
    """How many independent prompts an interval over prompts needs."""
    return math.ceil(FEWEST_BEYOND / min(share, 1 - share) - 1e-9)


@lru_cache
def _critical(df: int, level: float) -> float:
    return critical_t(df, level)


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

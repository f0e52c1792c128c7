"""Intervals of percentiles over requests, by a bootstrap that resamples replicates."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import combinations_with_replacement

import numpy as np
from numpy.typing import NDArray

from llenergymeasure.results.split_plot import Floats, critical_t
from llenergymeasure.results.statistics import Estimate

Counts = NDArray[np.int64]
# A standard error needs no more (Efron & Tibshirani 1993, An Introduction to the Bootstrap, ch. 6).
DRAWS = 200
SEED = 20_241_125
# Up to so many replicates every resample there is gets its exact weight instead of being drawn.
ENUMERATED = 5
# The bootstrap fails at the end of a sample: with fewer values beyond the percentile there is no interval.
FEWEST_BEYOND = 5


def percentile(parts: Sequence[Floats], share: float, level: float) -> Estimate:
    """The percentile over all values of all replicates, `n` of them, with a 95 % interval over replicates.

    parts: the values of each replicate, one array each; share: 0.95 for the 95th percentile

    Requests of one process are alike, so that replicates are resampled, each with all its requests (Davison & Hinkley
    1997, Bootstrap Methods and their Application, 3.8). The standard error of that is widened by √(k/(k − 1)) for k
    replicates, and Student's t with k − 1 degrees of freedom makes it an interval (Hesterberg 2015, The American
    Statistician 69). No interval with one replicate, or with fewer than `FEWEST_BEYOND` values beyond it.
    """
    return percentiles(parts, (share,), level)[0]


def percentiles(parts: Sequence[Floats], shares: Sequence[float], level: float) -> list[Estimate]:
    """Several of them, from one sorting and the same resamples."""
    values = np.concatenate(parts)
    order = np.argsort(values, kind="stable")
    owners = np.repeat(np.arange(len(parts)), [len(part) for part in parts])[order]
    values = values[order]
    found = [quantile(values, share) for share in shares]
    bounded = [len(parts) > 1 and len(values) * min(share, 1 - share) >= FEWEST_BEYOND for share in shares]
    if not any(bounded):
        return [Estimate(len(values), value, None, None) for value in found]
    resamples = _resamples(len(parts))
    results = np.array([_weighted(values, counts[owners], shares) for counts, _ in resamples])
    weights = np.array([weight for _, weight in resamples])
    mean = np.average(results, axis=0, weights=weights)
    errors = np.sqrt(np.average((results - mean) ** 2, axis=0, weights=weights))
    count = len(parts)
    halves = _critical(count - 1, level) * errors * math.sqrt(count / (count - 1))
    return [
        Estimate(len(values), value, value - float(half), value + float(half))
        if has
        else Estimate(len(values), value, None, None)
        for value, half, has in zip(found, halves, bounded, strict=True)
    ]


def quantile(values: Floats, share: float) -> float:
    """Of sorted values, interpolated linearly between neighbours, as numpy does."""
    place = share * (len(values) - 1)
    low, high = values[math.floor(place)], values[math.ceil(place)]
    return float(low + (place - math.floor(place)) * (high - low))


@lru_cache
def _critical(df: float, level: float) -> float:
    return critical_t(df, level)


@lru_cache
def _resamples(count: int) -> list[tuple[Counts, float]]:
    """How often each replicate is in a resample, and the weight of that resample."""
    return list(_drawn_or_enumerated(count))


def _drawn_or_enumerated(count: int) -> Iterator[tuple[Counts, float]]:
    if count <= ENUMERATED:
        for members in combinations_with_replacement(range(count), count):
            counts = np.bincount(members, minlength=count)
            ways = math.factorial(count) / math.prod(math.factorial(int(each)) for each in counts)
            yield counts, ways / count**count
        return
    draw = np.random.default_rng(SEED)
    for _ in range(DRAWS):
        yield np.bincount(draw.integers(0, count, count), minlength=count), 1 / DRAWS


def _weighted(values: Floats, counts: Counts, shares: Sequence[float]) -> list[float]:
    """The quantiles of sorted values of which each is there `counts` times, interpolated as numpy does."""
    upto = np.cumsum(counts)
    places = [share * (int(upto[-1]) - 1) for share in shares]
    ends = [end for place in places for end in (math.floor(place), math.ceil(place))]
    found = values[np.searchsorted(upto, ends, side="right")]
    return [
        float(low + (place - math.floor(place)) * (high - low))
        for place, low, high in zip(places, found[::2], found[1::2], strict=True)
    ]

"""Intervals of percentiles over requests, by a bootstrap that resamples replicates."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import combinations_with_replacement

import numpy as np

from llenergymeasure.results.split_plot import Floats, critical_t
from llenergymeasure.results.statistics import Estimate

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
    values = np.concatenate(parts)
    owners = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
    found = float(np.quantile(values, share))
    beyond = len(values) * min(share, 1 - share)
    if len(parts) < 2 or beyond < FEWEST_BEYOND:
        return Estimate(len(values), found, None, None)
    order = np.argsort(values, kind="stable")
    values, owners = values[order], owners[order]
    resamples = list(_resamples(len(parts)))
    results = np.array([_weighted(values, counts[owners], share) for counts, _ in resamples])
    weights = np.array([weight for _, weight in resamples])
    mean = np.average(results, weights=weights)
    error = math.sqrt(float(np.average((results - mean) ** 2, weights=weights)))
    count = len(parts)
    half = critical_t(count - 1, level) * error * math.sqrt(count / (count - 1))
    return Estimate(len(values), found, found - half, found + half)


def _resamples(count: int) -> Iterator[tuple[np.ndarray[tuple[int], np.dtype[np.int64]], float]]:
    """How often each replicate is in a resample, and the weight of that resample."""
    if count <= ENUMERATED:
        for members in combinations_with_replacement(range(count), count):
            counts = np.bincount(members, minlength=count)
            ways = math.factorial(count) / math.prod(math.factorial(int(each)) for each in counts)
            yield counts, ways / count**count
        return
    draw = np.random.default_rng(SEED)
    for _ in range(DRAWS):
        yield np.bincount(draw.integers(0, count, count), minlength=count), 1 / DRAWS


def _weighted(values: Floats, counts: np.ndarray[tuple[int], np.dtype[np.int64]], share: float) -> float:
    """The quantile of sorted values of which each is there `counts` times, interpolated as numpy does."""
    upto = np.cumsum(counts)
    place = share * (upto[-1] - 1)
    low, high = (values[np.searchsorted(upto, each, side="right")] for each in (math.floor(place), math.ceil(place)))
    return float(low + (place - math.floor(place)) * (high - low))

"""Intervals that stay valid although the study analysed each replicate and stopped when the result was narrow.

A study that stops as soon as its interval is narrow stops too often where the spread was underestimated by chance, so
that Student's interval at that moment covers the true value in less than 95 % (Anscombe 1952, Proc. Cambridge Phil.
Soc. 48).
So every interim analysis makes its intervals at the same, higher nominal level. With the stopping rule they then cover
the true value in 95 %, whatever the true spread is.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy import stats

from llenergymeasure.results.statistics.estimates import CONFIDENCE
from llenergymeasure.results.statistics.strata.sums_of_squares import Floats

PATHS = 20_000
SEED = 20_241_124
# How many true spreads are tried between "stops at the first analysis" and "never stops".
SPREADS = 24
_STEPS = 12


@lru_cache(maxsize=64)
def nominal_level(first: int, last: int) -> float:
    """The level of Student's interval at each interim analysis, for 95 % at the one that stops.

    first, last: number of replicates at the first and at the last analysis.

    The smallest level whose coverage is 95 % or more for every ratio of true spread to target width, by simulation
    of normal replicates (seeded). A single analysis needs no correction.
    """
    if last <= first:
        return CONFIDENCE
    counts = np.arange(first, last + 1).astype(float)
    means, deviations = _paths(first, last)
    low, high = CONFIDENCE, 0.9999
    for _ in range(_STEPS):
        level = (low + high) / 2
        if _worst_coverage(counts, means, deviations, level) >= CONFIDENCE:
            high = level
        else:
            low = level
    return high


def _paths(first: int, last: int) -> tuple[Floats, Floats]:
    """Running means and standard errors of standard normal figures, one row per path, one column per analysis."""
    draws = np.random.default_rng(SEED).standard_normal((PATHS, last))
    counts = np.arange(1, last + 1)
    sums, squares = np.cumsum(draws, axis=1), np.cumsum(draws**2, axis=1)
    variances = (squares - sums**2 / counts)[:, first - 1 :] / (counts[first - 1 :] - 1)
    return (sums / counts)[:, first - 1 :], np.sqrt(variances / counts[first - 1 :])


def _worst_coverage(counts: Floats, means: Floats, errors: Floats, level: float) -> float:
    quantiles = stats.t.ppf((1 + level) / 2, counts - 1)
    halves = errors * quantiles
    held = np.abs(means) <= halves
    # Widths, over the true spread, at which a study would typically stop after 1 … last replicates and beyond.
    smallest, largest = quantiles[-1] / np.sqrt(counts[-1]), quantiles[0] / np.sqrt(counts[0])
    widths = np.geomspace(smallest / 2, largest * 2, SPREADS)
    rows = np.arange(len(means))
    worst = 1.0
    for width in widths:
        narrow = halves <= width
        stop = np.where(narrow.any(axis=1), narrow.argmax(axis=1), len(counts) - 1)
        worst = min(worst, float(held[rows, stop].mean()))
    return worst

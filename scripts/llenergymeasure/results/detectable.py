"""How small a difference a study could have seen, and how many replicates a given one would take."""

from __future__ import annotations

import math
from dataclasses import dataclass

from scipy import stats

from llenergymeasure.results.split_plot import SplitPlot, Variances, critical_t
from llenergymeasure.results.statistics import CONFIDENCE

POWER = 0.8
# What a reader usually wants to tell apart.
WANTED = 0.02
MOST_REPLICATES = 1000


@dataclass(frozen=True)
class Detectable:
    """For one comparison of two experiments: of the same load's process, or of different ones.

    change: the smallest relative difference found in `POWER` of the studies like this one (0.03: 3 %)
    replicates_wanted: how many replicates a difference of `WANTED` would take; None where more than a thousand
    """

    same_batch: bool
    change: float
    replicates_wanted: int | None


def detectable(analysis: SplitPlot) -> list[Detectable]:
    """Same load first, then different loads; only the comparisons the study has. Empty without repetition."""
    variances = analysis.variances
    if variances is None:
        return []
    batches = [analysis.batch_of[name] for name in analysis.values]
    replicates = min(len(of_one) for of_one in analysis.values.values())
    kinds = []
    if variances.within is not None and len(set(batches)) < len(batches):
        kinds.append(True)
    if len(set(batches)) > 1:
        kinds.append(False)
    return [
        Detectable(
            same_batch,
            _change(variances, replicates, replicates, same_batch),
            _wanted(variances, replicates, same_batch),
        )
        for same_batch in kinds
    ]


def _change(variances: Variances, replicates: int, measured: int, same_batch: bool) -> float:
    """exp(δ) − 1 with δ = (t(0.975) + t(0.8))·√(2σ²/n): the usual power calculation on logarithms.

    Degrees of freedom grow with the replicates: those of the study are scaled by (n − 1) / (measured − 1).
    """
    variance, df = (variances.residual, float(variances.within_df)) if same_batch else variances.of_one()
    scaled = df * (replicates - 1) / (measured - 1) if measured > 1 else df
    quantiles = critical_t(scaled, CONFIDENCE) + float(stats.t.ppf(POWER, scaled))
    return math.exp(quantiles * math.sqrt(2 * variance / replicates)) - 1


def _wanted(variances: Variances, measured: int, same_batch: bool) -> int | None:
    low, high = 2, MOST_REPLICATES
    if measured < 2 or _change(variances, high, measured, same_batch) > WANTED:
        return None
    while low < high:
        middle = (low + high) // 2
        if _change(variances, middle, measured, same_batch) <= WANTED:
            high = middle
        else:
            low = middle + 1
    return low

"""How small a difference a study could detect, and how many replicates a given difference needs."""

from __future__ import annotations

import math
from dataclasses import dataclass

from scipy import stats

from llenergymeasure.results.statistics.simultaneous import Comparisons
from llenergymeasure.results.statistics.split_plot import SplitPlot, Variances, critical_t

POWER = 0.8
# The relative difference that a reader usually wants to detect.
WANTED = 0.02
MOST_REPLICATES = 1000


@dataclass(frozen=True)
class Detectable:
    """For one comparison of two experiments: of the same setup's process, or of different ones.

    change: the smallest relative difference that a share `POWER` of studies like this one detects (0.03: 3 %)
    replicates_wanted: how many replicates a difference of `WANTED` needs; None where more than a thousand
    """

    same_session: bool
    change: float
    replicates_wanted: int | None


def detectable(analysis: SplitPlot, comparisons: Comparisons | None) -> list[Detectable]:
    """Same setup first, then different setups; only those among `comparisons`. Empty without repetition.

    A difference is detected where 1 is outside its interval. So it depends on how many comparisons the intervals hold
    for at once, and on whether there were interim analyses: both are in the critical value.
    """
    variances = analysis.variances
    if variances is None or comparisons is None:
        return []
    kinds = sorted({difference.same_session for difference in comparisons.differences}, reverse=True)
    replicates = min(len(of_one) for of_one in analysis.values.values())
    return [
        Detectable(
            same_session,
            _change(variances, replicates, replicates, same_session, comparisons.critical),
            _wanted(variances, replicates, same_session, comparisons.critical),
        )
        for same_session in kinds
    ]


def _change(variances: Variances, replicates: int, measured: int, same_session: bool, critical: float) -> float:
    """exp(δ) − 1 with δ = (c + t(0.8))·√(2σ²/n): the usual power calculation on logarithms.

    c is the critical value of the study's intervals. Degrees of freedom grow with the replicates: those of the study
    are scaled by (n − 1) / (measured − 1), and c is taken at the confidence that it stands for in one comparison.
    """
    variance, df = (variances.residual, float(variances.within_df)) if same_session else variances.of_one()
    scaled = df * (replicates - 1) / (measured - 1) if measured > 1 else df
    confidence = 1 - 2 * float(stats.t.sf(critical, df))
    quantiles = critical_t(scaled, confidence) + float(stats.t.ppf(POWER, scaled))
    return math.exp(quantiles * math.sqrt(2 * variance / replicates)) - 1


def _wanted(variances: Variances, measured: int, same_session: bool, critical: float) -> int | None:
    low, high = 2, MOST_REPLICATES
    if measured < 2 or _change(variances, high, measured, same_session, critical) > WANTED:
        return None
    while low < high:
        middle = (low + high) // 2
        if _change(variances, middle, measured, same_session, critical) <= WANTED:
            high = middle
        else:
            low = middle + 1
    return low

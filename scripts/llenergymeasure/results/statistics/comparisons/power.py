"""How small a difference a study could detect, and how many replicates a given difference needs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import median_low

from scipy import stats

from llenergymeasure.results.statistics.comparisons.simultaneous import Comparisons
from llenergymeasure.results.statistics.split_plot import SplitPlot
from llenergymeasure.results.statistics.strata.variances import Variances, critical_t

POWER = 0.8
# How often the true variance is below the one that the calculation takes. It is high because some comparisons rest on
# the two experiments alone (scatter.py), which the calculation does not know, and these detect less.
CERTAINTY = 0.9
# The relative difference that a reader usually wants to detect.
WANTED = 0.02
MOST_REPLICATES = 1000
# A factor of a thousand: with one degree of freedom the upper limit knows no bounds.
MOST_LOG = math.log(1000.0)


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
    for at once, and on whether there were interim analyses: both are in the level of each interval.
    """
    variances = analysis.variances
    if variances is None or comparisons is None:
        return []
    kinds = sorted({difference.same_session for difference in comparisons.differences}, reverse=True)
    # Most experiments have that many: one that lost replicates does not tell what a study like this one detects.
    replicates = median_low(len(of_one) for of_one in analysis.values.values())
    return [
        Detectable(
            same_session,
            _change(variances, replicates, replicates, same_session, comparisons.single_level),
            _wanted(variances, replicates, same_session, comparisons.single_level),
        )
        for same_session in kinds
    ]


def _change(variances: Variances, replicates: int, measured: int, same_session: bool, level: float) -> float:
    """exp(δ) − 1 with δ = (t(level) + t(0.8))·√(2σ²/n): the usual power calculation on logarithms.

    level: of each interval of the study. σ² is the upper limit of the study's variance at `CERTAINTY`, df·s²/χ²: with
    the variance itself, which is uncertain, half of the studies would state a difference that is found less often.
    Degrees of freedom grow with the replicates: those of the study are scaled by (n − 1) / (measured − 1). Where most
    experiments have one replicate, they stay what they are.
    """
    variance, df = (variances.residual, float(variances.within_df)) if same_session else variances.of_one()
    largest = variance * df / float(stats.chi2.ppf(1 - CERTAINTY, df))
    scaled = df * (replicates - 1) / (measured - 1) if measured > 1 else df
    quantiles = critical_t(scaled, level) + float(stats.t.ppf(POWER, scaled))
    return math.exp(min(quantiles * math.sqrt(2 * largest / replicates), MOST_LOG)) - 1


def _wanted(variances: Variances, measured: int, same_session: bool, level: float) -> int | None:
    low, high = 2, MOST_REPLICATES
    if _change(variances, high, measured, same_session, level) > WANTED:
        return None
    while low < high:
        middle = (low + high) // 2
        if _change(variances, middle, measured, same_session, level) <= WANTED:
            high = middle
        else:
            low = middle + 1
    return low

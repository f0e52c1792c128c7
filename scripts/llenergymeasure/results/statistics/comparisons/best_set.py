"""The best of several experiments: which of them may be the best, and the figure of the one that looks best."""

from __future__ import annotations

import math
from collections.abc import Sequence

from llenergymeasure.results.statistics.comparisons.simultaneous import (
    ROUNDING,
    Comparisons,
    differences_of_pairs,
    one_sided_bound,
    single_level,
)
from llenergymeasure.results.statistics.estimates import Ratio, ratio_from_logs
from llenergymeasure.results.statistics.split_plot import SplitPlot, log_mean
from llenergymeasure.results.statistics.strata.variances import critical_t

# With more experiments than this, a bound replaces the drawn level: each experiment would need a drawing of its own.
DRAWN = 20
# How many of the experiments that look best each one is compared with, to leave it out of the set.
RIVALS = 5


def may_be_best(analysis: SplitPlot, names: Sequence[str], higher_is_better: bool) -> list[str]:
    """Those of `names`, best first, that the data do not show to be worse than another of them.

    Hsu's comparisons with the best (1984, Annals of Statistics 12): an experiment is left out where one of the others
    is better by more than the one-sided bound that holds for its comparisons with all others at once. The truly best is
    left out in 5 % of studies at most. Without repetition nothing can be left out.
    """
    return [name for name in names if not _worse(analysis, name, names, higher_is_better)]


def _comparisons_with_rivals(analysis: SplitPlot, name: str, names: Sequence[str]) -> Comparisons | None:
    """One of `names`, best first, against the others. Intervals hold on the side on which it is worse.

    None where nothing was repeated.
    """
    others = [other for other in (names if len(names) <= DRAWN else names[:RIVALS]) if other != name]
    differences = differences_of_pairs(analysis, [(name, other) for other in others])
    if not differences:
        return None
    level = one_sided_bound(analysis.level, len(names) - 1)
    if len(names) <= DRAWN:
        level = single_level(analysis, differences, one_sided=True)
    return Comparisons(differences, level)


def _worse(analysis: SplitPlot, name: str, names: Sequence[str], higher_is_better: bool) -> bool:
    sign = -1 if higher_is_better else 1
    rivals = [rival for rival in names[:RIVALS] if rival != name]
    differences = differences_of_pairs(analysis, [(name, rival) for rival in rivals])
    # The level of a single comparison, and a bound for all: only what lies between them needs the drawn one.
    for level, verdict in ((2 * analysis.level - 1, False), (one_sided_bound(analysis.level, len(names) - 1), True)):
        comparisons = Comparisons(differences, level)
        if _any_worse(analysis, comparisons, rivals, sign) == verdict:
            return verdict
    decisive = _comparisons_with_rivals(analysis, name, names)
    return decisive is not None and _any_worse(analysis, decisive, rivals, sign)


def _any_worse(analysis: SplitPlot, comparisons: Comparisons, rivals: Sequence[str], sign: int) -> bool:
    return any(
        sign * difference.value > comparisons.half_width(analysis, difference)
        for difference in comparisons.differences
        if difference.other in rivals
    )


def interval_of_chosen(analysis: SplitPlot, name: str, count: int) -> Ratio:
    """The geometric mean of an experiment that was chosen by its figure among `count`, with a 95 % interval.

    The interval holds for all of them at once (Šidák 1967, JASA 62), so it holds for whichever is chosen. It does not
    contain the gain of the instrument.
    """
    figures = list(analysis.values[name].values())
    mean = log_mean(figures)
    known = analysis.variance_of_one(name)
    if known is None:
        return Ratio(math.exp(mean), None, None)
    variance, df = known
    half = max(critical_t(df, analysis.level ** (1 / count)) * math.sqrt(variance / len(figures)), ROUNDING)
    return ratio_from_logs(mean, half)

"""Whether a rerun gives the same figure: same, different or not known, within a margin.

"No significant difference" is not "the same": few replicates find no difference. "A significant difference" is not
"another figure": many replicates find what changes from one day to the next. So a ratio, new over old, is

    same        if its 90 % interval lies inside [1/(1 + m), 1 + m]. Each side is a one-sided test at 5 % (TOST,
                Schuirmann 1987, J. Pharmacokinet. Biopharm. 15).
    different   if its 95 % interval, which holds for all experiments of a metric at once (Šidák 1967, JASA 62), lies
                wholly outside that range
    not known   otherwise

Replicates of the two studies are independent, so on logarithms the variance of the ratio is that of a difference of
means (Welch 1947, Biometrika 34; degrees of freedom by Satterthwaite). Two days show nothing of how days differ: the
standard deviation from one day to another is a stated assumption (a type B evaluation, GUM 4.3), once for each day.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

from llenergymeasure.records.study.equivalence import DIFFERENT, NOT_KNOWN, SAME, Answer
from llenergymeasure.results.statistics.estimates import CONFIDENCE, Ratio, ratio_from_logs
from llenergymeasure.results.statistics.split_plot import SplitPlot
from llenergymeasure.results.statistics.strata.variances import critical_t

Groups = Mapping[int, Hashable]
"""replicate → what must be the same in both studies for two replicates to be compared; None: it is not known"""


@dataclass(frozen=True)
class LogRatio:
    """log(new/old) with its standard error and degrees of freedom; no error where one side was not repeated.

    old, new: how many replicates of each were compared
    """

    value: float
    standard_error: float | None
    df: float
    old: int
    new: int

    def interval(self, level: float) -> Ratio:
        """The ratio with its two-sided interval at `level`."""
        if self.standard_error is None:
            return Ratio(math.exp(self.value), None, None)
        half = critical_t(self.df, level) * self.standard_error if self.standard_error else 0.0
        return ratio_from_logs(self.value, half)


@dataclass(frozen=True)
class Verdict:
    """ratio: with the interval that holds for all experiments; alone: with that of the two one-sided tests."""

    answer: Answer
    ratio: Ratio
    alone: Ratio


def judge(log_ratio: LogRatio, margin: float, experiments: int = 1, level: float = CONFIDENCE) -> Verdict:
    """The verdict on one of `experiments` ratios of a metric.

    level: of a two-sided interval, above 95 % where there were interim analyses
    """
    ratio = log_ratio.interval(level ** (1 / max(1, experiments)))
    alone = log_ratio.interval(2 * level - 1)
    return Verdict(_answer(ratio, alone, margin), ratio, alone)


def _answer(ratio: Ratio, alone: Ratio, margin: float) -> Answer:
    least, most = 1 / (1 + margin), 1 + margin
    if alone.low is not None and alone.high is not None and least <= alone.low and alone.high <= most:
        return SAME
    if ratio.low is not None and ratio.high is not None and (ratio.high < least or ratio.low > most):
        return DIFFERENT
    return NOT_KNOWN


def log_ratio(
    old: SplitPlot,
    new: SplitPlot,
    name: str,
    day_sd: float = 0.0,
    groups: tuple[Groups, Groups] | None = None,
) -> LogRatio | None:
    """New over old of one experiment; None where no replicates can be compared.

    day_sd: relative standard deviation from one day to another
    groups: of the replicates, old and new. Only those of one group are compared with each other. The differences of the
        groups are averaged with the weights n_old·n_new/(n_old + n_new), which are the best for one variance. So the
        gain of an instrument cancels in its group, however often each study used the instrument.
    """
    before, after = (
        _logs_by_group(side, name, of) for side, of in zip((old, new), groups or (None, None), strict=True)
    )
    common = [group for group in before if group in after]
    if not common:
        return None
    sizes = [(len(before[group]), len(after[group])) for group in common]
    weights = [one * other / (one + other) for one, other in sizes]
    shares = [weight / math.fsum(weights) for weight in weights]
    value = math.fsum(
        share * (_mean(after[group]) - _mean(before[group])) for share, group in zip(shares, common, strict=True)
    )
    counted = (sum(one for one, _ in sizes), sum(other for _, other in sizes))
    error_df = _error(
        old, new, name, [math.fsum(s**2 / n[side] for s, n in zip(shares, sizes, strict=True)) for side in (0, 1)]
    )
    if error_df is None:
        return LogRatio(value, None, math.inf, *counted)
    variance, df = error_df
    total = variance + 2 * day_sd**2
    # The stated part has no degrees of freedom to lose: Satterthwaite's formula with an infinite number for it.
    return LogRatio(value, math.sqrt(total), df * (total / variance) ** 2 if variance else math.inf, *counted)


def _error(old: SplitPlot, new: SplitPlot, name: str, shares: Sequence[float]) -> tuple[float, float] | None:
    """Variance of the difference and its degrees of freedom, where each side's mean has that share of a variance."""
    parts = []
    for side, share in zip((old, new), shares, strict=True):
        one = side.variance_of_one(name)
        if one is None:
            return None
        parts.append((share * one[0], one[1]))
    variance = math.fsum(part for part, _ in parts)
    spread = math.fsum(part**2 / df for part, df in parts)
    return variance, variance**2 / spread if spread else math.inf


def _logs_by_group(analysis: SplitPlot, name: str, groups: Groups | None) -> dict[Hashable, list[float]]:
    logs: dict[Hashable, list[float]] = {}
    for replicate, value in analysis.values.get(name, {}).items():
        group = "all" if groups is None else groups.get(replicate)
        if group is not None:
            logs.setdefault(group, []).append(math.log(value))
    return logs


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)

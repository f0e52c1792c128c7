"""Split-plot analysis: separates what differs between processes from what differs within one.

An experiment e measured in replicate r of session b (a fresh process) gives, on logarithms,

    y = μ_e + β_r + p_br + ε_er    p ~ N(0, σ_p²), the whole-plot error;  ε ~ N(0, σ_ε²), the sub-plot error

with β what the hour does to all sessions of a replicate, where the study was run in blocks (Montgomery, *Design and
Analysis of Experiments*, ch. 14). Experiments of one session share p and β, so both cancel in their difference;
experiments of different sessions differ by p and ε, and in the same block β cancels. On logarithms a difference is a
ratio.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from llenergymeasure.results.statistics.estimates import CONFIDENCE
from llenergymeasure.results.statistics.gains import Gain
from llenergymeasure.results.statistics.strata.scatter import Scatter, find_scatter
from llenergymeasure.results.statistics.strata.sums_of_squares import Values
from llenergymeasure.results.statistics.strata.variances import Variances


@dataclass(frozen=True)
class Difference:
    """log(one / other) with its standard error and degrees of freedom.

    own: the error is from these two alone, since one of them scatters more than the study's other experiments. It is
        infinite where they have fewer than two replicates in common.
    common: how many replicates it rests on that both have; None where it is of the means of all
    """

    one: str
    other: str
    value: float
    standard_error: float
    df: float
    same_session: bool
    own: bool = False
    common: int | None = None


@dataclass(frozen=True)
class SplitPlot:
    """The figures of one metric and one source, and how they scatter.

    level: nominal level of intervals, see `sequential.nominal_level`
    gains: experiment → instrument → its share of the figure and the bound of its gain
    """

    values: Values
    session_ids: Mapping[str, str]
    scatter: Scatter
    level: float = CONFIDENCE
    gains: Mapping[str, Mapping[str, Gain]] = field(default_factory=dict)

    @property
    def variances(self) -> Variances | None:
        """Of the experiments that scatter alike; None where nothing was repeated."""
        return self.scatter.variances

    def noisy(self, experiment: str, same_session: bool) -> bool:
        """Whether it scatters more than the pooled variances say."""
        if experiment in self.scatter.experiments:
            return True
        return not same_session and self.session_ids[experiment] in self.scatter.sessions

    def variance_of_one(self, experiment: str) -> tuple[float, float] | None:
        """Variance of one figure of the study, on logarithms, and its degrees of freedom; None without repetition.

        What differs between blocks is in it: only inside one study does it cancel. An experiment that scatters more
        than the others has a variance of its own.
        """
        if self.variances is None:
            return None
        if not self.noisy(experiment, same_session=False):
            return self.variances.of_one_with_block()
        logs = [math.log(figure) for figure in self.values[experiment].values()]
        variance, df = _variance_of_mean(logs)
        return (variance * len(logs), float(df)) if df else None

    def difference(self, one: str, other: str) -> Difference | None:
        """Within the processes, or the blocks, that both were measured in, where there are any.

        None without repetition.
        """
        if self.variances is None:
            return None
        mine, theirs = self.values[one], self.values[other]
        common = sorted(set(mine) & set(theirs))
        same = self.session_ids[one] == self.session_ids[other] and bool(common)
        blocked = self.variances.blocks is not None and bool(common)
        paired = (same and self.variances.within is not None) or (blocked and not same)
        if self.noisy(one, same) or self.noisy(other, same):
            return self._own_difference(one, other, same, common if same or blocked else None)
        if paired:
            variance, df = self.scatter.residual(self.session_ids[one]) if same else self.variances.of_one()
            error = math.sqrt(2 * variance / len(common))
            value = _mean_of_pairs(mine, theirs, common)
            return Difference(one, other, value, error, df, same, common=len(common))
        # Without a block in common, what differs between blocks is in the difference too.
        variance, df = self.variances.of_one_with_block() if not same else self.variances.of_one()
        error = math.sqrt(variance * (1 / len(mine) + 1 / len(theirs)))
        return Difference(one, other, log_mean(mine.values()) - log_mean(theirs.values()), error, df, False)

    def _own_difference(self, one: str, other: str, same: bool, common: list[int] | None) -> Difference:
        """From the two experiments alone: by pairs, which is exact, or by Welch (1947, Biometrika 34)."""
        mine, theirs = self.values[one], self.values[other]
        if common is not None:
            value = _mean_of_pairs(mine, theirs, common)
            logs = [math.log(mine[replicate] / theirs[replicate]) for replicate in common]
            parts = [_variance_of_mean(logs)]
        else:
            value = log_mean(mine.values()) - log_mean(theirs.values())
            parts = [_variance_of_mean([math.log(figure) for figure in side.values()]) for side in (mine, theirs)]
        variance = math.fsum(part for part, _ in parts)
        spread = math.fsum(part**2 / df for part, df in parts if df)
        df = variance**2 / spread if spread and math.isfinite(variance) else float(max(1, parts[0][1]))
        shared = None if common is None else len(common)
        return Difference(one, other, value, math.sqrt(variance), df, same, own=True, common=shared)


def analyse(
    values: Values,
    session_ids: Mapping[str, str],
    level: float = CONFIDENCE,
    *,
    blocked: bool = False,
    gains: Mapping[str, Mapping[str, Gain]] | None = None,
) -> SplitPlot:
    """Variances over all sessions; figures may be missing.

    blocked: replicate r of every session was measured before replicate r + 1 of any
    """
    known = {name: dict(of_one) for name, of_one in values.items() if of_one}
    sessions: dict[str, dict[str, dict[int, float]]] = {}
    for name, figures in known.items():
        sessions.setdefault(session_ids[name], {})[name] = figures
    scatter = find_scatter(sessions, blocked and len(sessions) > 1) if sessions else Scatter(None)
    return SplitPlot(known, session_ids, scatter, level, gains or {})


def log_mean(values: Iterable[float]) -> float:
    logs = [math.log(value) for value in values]
    return math.fsum(logs) / len(logs)


def _mean_of_pairs(mine: Mapping[int, float], theirs: Mapping[int, float], common: Iterable[int]) -> float:
    return log_mean(mine[replicate] / theirs[replicate] for replicate in common)


def _variance_of_mean(logs: list[float]) -> tuple[float, int]:
    """With its degrees of freedom; infinite for a single figure."""
    if len(logs) < 2:
        return math.inf, 0
    mean = math.fsum(logs) / len(logs)
    return math.fsum((log - mean) ** 2 for log in logs) / (len(logs) - 1) / len(logs), len(logs) - 1

"""Split-plot analysis: separates what differs between processes from what differs within one.

An experiment e measured in replicate r of session b (a fresh process) gives, on logarithms,

    y = μ_e + p_br + ε_er        p ~ N(0, σ_p²), the whole-plot error;  ε ~ N(0, σ_ε²), the sub-plot error

(Montgomery, *Design and Analysis of Experiments*, ch. 14). Experiments of one session share p, so it cancels in their
difference; experiments of different sessions differ by both. On logarithms a difference is a ratio.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from llenergymeasure.results.statistics.estimates import CONFIDENCE

Floats = NDArray[np.float64]
Values = Mapping[str, Mapping[int, float]]
"""experiment → replicate → a positive figure"""


@dataclass(frozen=True)
class Variances:
    """Mean squares on logarithms with their degrees of freedom, pooled over sessions.

    between: among processes, after the experiments' means; its expectation is σ_ε² + (size / between_df)·σ_p²
    within: what remains after both; its expectation is σ_ε². None where no session holds two experiments
    """

    between: float
    between_df: int
    size: float
    within: float | None
    within_df: int

    @property
    def process(self) -> float:
        """σ_p², not below 0; all of the variance where `within` is not known."""
        if self.within is None:
            return self.between
        return max(0.0, (self.between - self.within) * self.between_df / self.size)

    @property
    def residual(self) -> float:
        """σ_ε²; 0 where it cannot be separated from σ_p²."""
        return self.within or 0.0

    def of_one(self) -> tuple[float, float]:
        """σ_p² + σ_ε², the variance of one figure, and its degrees of freedom (Satterthwaite 1946,
        Biometrics Bulletin 2)."""
        if self.within is None:
            return self.between, float(self.between_df)
        share = self.between_df / self.size
        parts = ((share * self.between, self.between_df), ((1 - share) * self.within, self.within_df))
        variance = sum(part for part, _ in parts)
        spread = sum(part**2 / df for part, df in parts if part)
        return variance, variance**2 / spread if spread else float(self.between_df)


@dataclass(frozen=True)
class Difference:
    """log(one / other) with its standard error and degrees of freedom."""

    one: str
    other: str
    value: float
    standard_error: float
    df: float
    same_session: bool


@dataclass(frozen=True)
class SplitPlot:
    """The figures of one metric and one source, and their variances; None where nothing was repeated.

    level: nominal level of intervals, see `sequential.nominal_level`
    """

    values: Values
    session_ids: Mapping[str, str]
    variances: Variances | None
    level: float = CONFIDENCE

    def difference(self, one: str, other: str) -> Difference | None:
        """Within the processes that both were measured in, where there are any; None without repetition."""
        if self.variances is None:
            return None
        mine, theirs = self.values[one], self.values[other]
        common = sorted(set(mine) & set(theirs)) if self.session_ids[one] == self.session_ids[other] else []
        if common and self.variances.within is not None:
            value = math.fsum(math.log(mine[replicate] / theirs[replicate]) for replicate in common) / len(common)
            error = math.sqrt(2 * self.variances.within / len(common))
            return Difference(one, other, value, error, self.variances.within_df, True)
        value = _log_mean(mine.values()) - _log_mean(theirs.values())
        variance, df = self.variances.of_one()
        error = math.sqrt(variance * (1 / len(mine) + 1 / len(theirs)))
        return Difference(one, other, value, error, df, False)


def analyse(values: Values, session_ids: Mapping[str, str], level: float = CONFIDENCE) -> SplitPlot:
    """Variances over all sessions; figures may be missing.

    Sums of squares are those of Henderson's method 3: experiments first, then processes; the coefficient of σ_p² in
    the expectation is the trace that goes with it, so that missing figures need no filling in (Searle, Casella &
    McCulloch, *Variance Components*, ch. 5).
    """
    known = {name: dict(of_one) for name, of_one in values.items() if of_one}
    between = size = within = 0.0
    between_df = within_df = 0
    sessions: dict[str, list[str]] = {}
    for name in known:
        sessions.setdefault(session_ids[name], []).append(name)
    for names in sessions.values():
        sums = _sums_of_squares([known[name] for name in names])
        between, between_df, size = between + sums[0], between_df + sums[1], size + sums[2]
        within, within_df = within + sums[3], within_df + sums[4]
    if between_df == 0:
        return SplitPlot(known, session_ids, None, level)
    return SplitPlot(
        known,
        session_ids,
        Variances(between / between_df, between_df, size, within / within_df if within_df else None, within_df),
        level,
    )


def _sums_of_squares(session: Sequence[Mapping[int, float]]) -> tuple[float, int, float, float, int]:
    """(between processes, its df, its coefficient of σ_p², remainder, its df)."""
    places = [(row, replicate) for row, of_one in enumerate(session) for replicate in of_one]
    replicates = sorted({replicate for _, replicate in places})
    logs = np.array([math.log(session[row][replicate]) for row, replicate in places])
    experiments = np.zeros((len(places), len(session)))
    processes = np.zeros((len(places), len(replicates)))
    for place, (row, replicate) in enumerate(places):
        experiments[place, row] = 1.0
        processes[place, replicates.index(replicate)] = 1.0
    both = np.hstack([experiments, processes])
    after_experiments, after_both = _remainder(experiments, logs), _remainder(both, logs)
    df_experiments = len(places) - len(session)
    df_both = len(places) - int(np.linalg.matrix_rank(both))
    projected = processes - experiments @ np.linalg.lstsq(experiments, processes, rcond=None)[0]
    return (
        max(0.0, after_experiments - after_both),
        df_experiments - df_both,
        float(np.sum(projected**2)),
        after_both if df_both else 0.0,
        df_both,
    )


def _remainder(design: Floats, values: Floats) -> float:
    residual = values - design @ np.linalg.lstsq(design, values, rcond=None)[0]
    return float(residual @ residual)


def _log_mean(values: Iterable[float]) -> float:
    logs = [math.log(value) for value in values]
    return math.fsum(logs) / len(logs)


def critical_t(df: float, confidence: float) -> float:
    """Two-sided quantile of Student's t."""
    return float(stats.t.ppf((1 + confidence) / 2, df))

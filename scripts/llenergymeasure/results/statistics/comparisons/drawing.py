"""The joint distribution of the comparisons of a study, drawn from its estimated variances."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy import special

from llenergymeasure.results.statistics.strata.sums_of_squares import Floats
from llenergymeasure.results.statistics.strata.variances import Variances

DRAWS = 10_000
SEED = 20_241_123


@dataclass(frozen=True)
class Pair:
    """Two experiments by their places. own: studentised by the scatter of these two alone"""

    one: int
    other: int
    same_session: bool
    own: bool


@dataclass(frozen=True)
class Design:
    """sessions, replicates: of each experiment; experiment_ratios: its mean square over the others'; session_ratios: of
    each session; alone_df: degrees of freedom of a session's own residual variance, 0 where it is the pooled one
    """

    variances: Variances
    sessions: tuple[int, ...]
    replicates: tuple[tuple[int, ...], ...]
    experiment_ratios: tuple[float, ...]
    session_ratios: tuple[float, ...]
    alone_df: tuple[int, ...]
    pairs: tuple[Pair, ...]


@lru_cache(maxsize=256)
def drawn_level(design: Design, level: float, one_sided: bool) -> float:
    """The level that each comparison needs on its own: the quantile of the most extreme one of each draw."""
    rng = np.random.default_rng(SEED)
    figures = _Figures(design, rng)
    # With the same degrees of freedom the largest ratio reaches the highest level, so only that one is looked up.
    largest: dict[float, Floats] = {}
    extreme = np.zeros(DRAWS)
    for pair in design.pairs:
        ratio, df = figures.studentised(pair)
        ratio = np.nan_to_num(ratio if one_sided else np.abs(ratio), nan=0.0)
        if isinstance(df, float):
            largest[df] = np.maximum(largest.get(df, 0.0), ratio)
        else:
            extreme = np.maximum(extreme, 2 * special.stdtr(df, ratio) - 1)
    for df, ratio in largest.items():
        extreme = np.maximum(extreme, 2 * special.stdtr(df, ratio) - 1)
    return float(np.quantile(extreme, level))


class _Figures:
    """Errors of the figures in each draw: draws × sessions (or experiments) × replicates.

    Where no figure is missing and no pair has its own scatter, means are enough, and they are drawn at once.
    """

    def __init__(self, design: Design, rng: np.random.Generator) -> None:
        self._design = design
        every = sorted({replicate for of_one in design.replicates for replicate in of_one})
        self._columns = [[every.index(replicate) for replicate in of_one] for of_one in design.replicates]
        self._means = all(len(of_one) == len(every) for of_one in design.replicates) and not any(
            pair.own for pair in design.pairs
        )
        count, share = (1, math.sqrt(len(every))) if self._means else (len(every), 1.0)
        variances = design.variances
        processes = np.array(design.session_ratios) * variances.process
        residuals = np.array(design.experiment_ratios) * variances.residual
        if variances.within is None:
            # The two cannot be told apart. Drawn as processes, they would cancel in a session; as residuals, nowhere.
            residuals = np.array(design.experiment_ratios) * processes[list(design.sessions)]
            processes = np.zeros_like(processes)
        process_sd, residual_sd = np.sqrt(processes) / share, np.sqrt(residuals) / share
        self._processes = rng.standard_normal((DRAWS, len(process_sd), count)) * process_sd[:, None]
        self._residuals = rng.standard_normal((DRAWS, len(residual_sd), count)) * residual_sd[:, None]
        self._of_one, self._within = _mean_squares(variances, rng)
        self._alone = {session: rng.chisquare(df, DRAWS) / df for session, df in enumerate(design.alone_df) if df}

    def studentised(self, pair: Pair) -> tuple[Floats, float | Floats]:
        """Student's ratio of the pair in each draw, with its degrees of freedom."""
        variances = self._design.variances
        mine, theirs = self._columns[pair.one], self._columns[pair.other]
        common = [column for column in mine if column in theirs]
        paired = pair.same_session or (variances.blocks is not None and bool(common))
        if paired:
            mine = theirs = common
        counts = len(mine), len(theirs)
        if self._means:
            mine = theirs = [0]
        one, other = self._errors(pair.one, mine, pair), self._errors(pair.other, theirs, pair)
        error = one.mean(axis=1) - other.mean(axis=1)
        with np.errstate(divide="ignore", invalid="ignore"):
            if pair.own and paired:
                return error / np.sqrt((one - other).var(axis=1, ddof=1) / counts[0]), float(counts[0] - 1)
            if pair.own:
                parts = one.var(axis=1, ddof=1) / counts[0], other.var(axis=1, ddof=1) / counts[1]
                variance = parts[0] + parts[1]
                df = variance**2 / (parts[0] ** 2 / (counts[0] - 1) + parts[1] ** 2 / (counts[1] - 1))
                return error / np.sqrt(variance), df
            variance = self._variance(pair) * (1 / counts[0] + 1 / counts[1])
            return error / np.sqrt(variance), self._pooled_df(pair)

    def _variance(self, pair: Pair) -> Floats:
        """Of one figure in each draw, as the pair is studentised by it."""
        if not pair.same_session:
            return self._of_one
        session = self._design.sessions[pair.one]
        if session not in self._alone:
            return self._within
        expected = self._design.variances.residual * self._design.experiment_ratios[pair.one]
        return self._alone[session] * expected

    def _errors(self, place: int, columns: Sequence[int], pair: Pair) -> Floats:
        residuals: Floats = self._residuals[:, place, columns]
        return residuals if pair.same_session else residuals + self._processes[:, self._design.sessions[place], columns]

    def _pooled_df(self, pair: Pair) -> float:
        variances = self._design.variances
        if not pair.same_session:
            return variances.of_one()[1]
        return float(self._design.alone_df[self._design.sessions[pair.one]] or variances.within_df)


def _mean_squares(variances: Variances, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Of one figure, and within a process, in each draw, around their expectation with the estimated variances."""
    chances = rng.chisquare(variances.effective_df, DRAWS) / variances.effective_df
    if variances.within is None:
        return variances.process * chances, np.zeros(DRAWS)
    between = (variances.residual + variances.size / variances.between_df * variances.process) * chances
    within = variances.within * rng.chisquare(variances.within_df, DRAWS) / variances.within_df
    share = variances.between_df / variances.size
    return share * between + (1 - share) * within, within

"""Variances of a study on logarithms, from its sums of squares."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import lru_cache

from scipy import stats

from llenergymeasure.results.statistics.strata.sums_of_squares import Sums


@dataclass(frozen=True)
class Variances:
    """Mean squares on logarithms with their degrees of freedom, pooled over the sessions that scatter alike.

    between: among processes, after the experiments' means and the blocks; its expectation is
        σ_ε² + (size / between_df)·σ_p²
    between_df: how many independent contrasts it has; effective_df: of its distribution, less where sessions hold
        different numbers of experiments
    within: what remains after both; its expectation is σ_ε². None where no session holds two experiments
    blocks: among replicates of the whole study; its expectation is that of `between` + (blocks_size / blocks_df)·σ_β².
        None where the study has no blocks, or they make no difference
    """

    between: float
    between_df: int
    effective_df: float
    size: float
    within: float | None
    within_df: int
    blocks: float | None = None
    blocks_df: int = 0
    blocks_size: float = 0.0

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
        """σ_p² + σ_ε², the variance of one figure in its block, and its degrees of freedom (Satterthwaite 1946,
        Biometrics Bulletin 2)."""
        return _combined(self._parts())

    def of_one_with_block(self) -> tuple[float, float]:
        """σ_β² + σ_p² + σ_ε², the variance of one figure of the study, and its degrees of freedom."""
        if self.blocks is None or self.blocks <= self.between:
            return self.of_one()
        share = self.blocks_df / self.blocks_size
        (_, between_df), *rest = self._parts()
        between = self._parts()[0][0] - share * self.between
        return _combined([(share * self.blocks, self.blocks_df), (between, between_df), *rest])

    def _parts(self) -> list[tuple[float, float]]:
        """Terms that add up to the variance of one figure, each with its degrees of freedom."""
        if self.within is None:
            return [(self.between, self.effective_df)]
        share = self.between_df / self.size
        return [(share * self.between, self.effective_df), ((1 - share) * self.within, self.within_df)]


def variances_from_sums(sums: Sums) -> Variances | None:
    """None where nothing was repeated."""
    between, within = sums.between, sums.within
    if between.df <= 0:
        return None
    residual = within.sum / within.df if within.df else None
    mean = between.sum / between.df
    process = mean if residual is None else max(0.0, (mean - residual) * between.df / between.size)
    known = Variances(
        mean, between.df, _effective_df(sums, residual or 0.0, process), between.size, residual, within.df
    )
    if sums.blocks is None or not sums.blocks.df:
        return known
    blocks = sums.blocks
    return replace(known, blocks=blocks.sum / blocks.df, blocks_df=blocks.df, blocks_size=blocks.size)


def _effective_df(sums: Sums, residual: float, process: float) -> float:
    """Of the sum over sessions, whose expectations differ with their number of experiments (Satterthwaite 1946)."""
    means = [
        ((free * residual + coefficient * process) / free, free)
        for free, coefficient in (part.expected for part in sums.sessions.values())
        if free > 1e-9
    ]
    squares = math.fsum(free * mean**2 for mean, free in means)
    if not squares:
        return float(sums.between.df)
    whole = math.fsum(free * mean for mean, free in means) ** 2 / squares
    return min(float(sums.between.df), whole)


def _combined(parts: list[tuple[float, float]]) -> tuple[float, float]:
    variance = math.fsum(part for part, _ in parts)
    spread = math.fsum(part**2 / df for part, df in parts if part and df)
    return variance, variance**2 / spread if spread else parts[0][1]


@lru_cache(maxsize=4096)
def critical_t(df: float, confidence: float) -> float:
    """Two-sided quantile of Student's t."""
    return float(stats.t.ppf((1 + confidence) / 2, df))

"""Energy of a request as a function of its lengths: which terms the measured lengths allow, their fit, and its lack.

A request of p prompt tokens and o output tokens runs one prefill, which gives the first output token, and o − 1 decode
steps; the step after k tokens of output attends to p + k tokens.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Floats = NDArray[np.float64]
BASIC = ("request", "prompt_token", "step")
# In this order they are added where the lengths allow.
CURVED = ("context_token", "prompt_pair")
# Columns that are this close to collinear, after each was scaled to length 1, do not separate costs.
LARGEST_CONDITION = 1e4
LACK_OF_FIT = 0.05
# Relative residuals below this are errors of arithmetic.
ROUNDING = 1e-9


@dataclass(frozen=True)
class Point:
    """One window of one replicate, per request: mean prompt and output tokens, joules.

    key: which window of which experiment, the same in all replicates
    """

    key: tuple[str, str]
    prompt_tokens: float
    output_tokens: float
    energy_j: float

    @property
    def steps(self) -> float:
        return self.output_tokens - 1

    @property
    def context(self) -> float:
        """Tokens attended to, summed over the decode steps: (o − 1) · p + o · (o − 1)/2."""
        return self.steps * (self.prompt_tokens + self.output_tokens / 2)

    def term(self, name: str) -> float:
        """How much of a cost the request has."""
        pairs = self.prompt_tokens * (self.prompt_tokens - 1) / 2
        counts = {"request": 1.0, "prompt_token": self.prompt_tokens, "step": self.steps}
        return {**counts, "context_token": self.context, "prompt_pair": pairs}[name]


def identifiable(replicates: Sequence[Sequence[Point]], curved: Sequence[str]) -> tuple[str, ...] | None:
    """The terms whose costs every replicate's lengths can separate, with a point to spare; None if not even the basic.

    curved: those of `CURVED` that are exact for these requests
    """
    if not replicates or not all(_separates(points, BASIC) for points in replicates):
        return None
    terms: tuple[str, ...] = BASIC
    for name in CURVED:
        longer = (*terms, name)
        spare = all(
            len({(point.prompt_tokens, point.output_tokens) for point in points}) > len(longer) for points in replicates
        )
        if name in curved and spare and all(_separates(points, longer) for points in replicates):
            terms = longer
    return terms


@dataclass(frozen=True)
class Fit:
    """coefficients: J, replicates × terms; largest_miss: of a window's energy, a share of it

    lack_of_fit: probability of residuals that agree this well between replicates if the model holds; None where
        nothing is left to test it with
    """

    coefficients: Floats
    largest_miss: float
    lack_of_fit: float | None


def fit(replicates: Sequence[Sequence[Point]], terms: Sequence[str]) -> Fit:
    """Least squares of relative errors in each replicate: errors of a meter are shares of the energy."""
    coefficients, misses = [], []
    for points in replicates:
        weighted = _design(points, terms) / np.array([[point.energy_j] for point in points])
        solved, *_ = np.linalg.lstsq(weighted, np.ones(len(points)), rcond=None)
        coefficients.append(solved)
        misses.append(weighted @ solved - 1)
    largest = max(float(np.max(np.abs(miss))) for miss in misses)
    same = len({tuple(point.key for point in points) for points in replicates}) == 1
    return Fit(np.array(coefficients), largest, _lack_of_fit(np.array(misses), len(terms)) if same else None)


def _lack_of_fit(misses: Floats, terms: int) -> float | None:
    """F test of the mean residuals against their scatter between replicates (Draper & Smith 1998, Applied Regression
    Analysis, 2.1). What a replicate has in common, its coefficients take up.

    misses: replicates × points
    """
    replicates, points = misses.shape
    freedom = points - terms
    if replicates < 2 or freedom < 1:
        return None
    misses = np.where(np.abs(misses) < ROUNDING, 0.0, misses)
    mean = misses.mean(axis=0)
    pure = float(((misses - mean) ** 2).sum()) / (freedom * (replicates - 1))
    lack = replicates * float((mean**2).sum()) / freedom
    if not pure:
        return 0.0 if lack else 1.0
    return float(stats.f.sf(lack / pure, freedom, freedom * (replicates - 1)))


def _design(points: Sequence[Point], terms: Sequence[str]) -> Floats:
    return np.array([[point.term(name) for name in terms] for point in points])


def _separates(points: Sequence[Point], terms: Sequence[str]) -> bool:
    """Whether no term is, over these lengths, nearly a sum of the others."""
    design = _design(points, terms)
    sizes = np.linalg.norm(design, axis=0)
    if len(points) < len(terms) or not np.all(sizes > 0):
        return False
    condition = float(np.linalg.cond(design / sizes))
    return math.isfinite(condition) and condition < LARGEST_CONDITION

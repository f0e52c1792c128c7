"""One figure measured by several laboratories: here the results folders of a study, from several machines or days.

Repeatability and reproducibility are those of ISO 5725-2 for cells of unequal size. A cell holds the replicates of one
folder: y = m + B + e, with B new in each folder (variance s_L²) and e new in each replicate (s_r²); s_R² = s_L² + s_r².

Mandel's h and k (ISO 5725-2, 7.3.1) show a folder whose mean, or whose scatter, is unlike that of the others.

The consensus value weights the folders by 1/(s_r²/n + τ²), with τ² so that the weighted squares of the deviations are
what they should be, p − 1 (Paule & Mandel 1982, J. Res. NBS 87). Its interval is Student's with p − 1 degrees of
freedom (Hartung & Knapp 2001, Statistics in Medicine 20): their variance is 1/Σw at that τ², and never less here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, stats

from llenergymeasure.results.statistics.estimates import CONFIDENCE
from llenergymeasure.results.statistics.strata.variances import critical_t

Cells = Sequence[Sequence[float]]
"""The figures of each folder, at least one"""
# What ISO 5725-2 calls a straggler and an outlier.
STRAGGLER, OUTLIER = 0.05, 0.01
# Relative: the mean of equal figures may differ from them by this.
ROUNDING = 1e-12


@dataclass(frozen=True)
class Precision:
    """In the figures' unit.

    repeatability: s_r; between: s_L. None where no folder has two replicates: then they cannot be told apart
    reproducibility: s_R, of one figure from any folder
    """

    mean: float
    repeatability: float | None
    between: float | None
    reproducibility: float


@dataclass(frozen=True)
class Mandel:
    """One folder. k: None where no two replicates show its scatter; mark: empty, `straggler` or `outlier`"""

    n: int
    mean: float
    sd: float | None
    h: float
    k: float | None
    mark: str


@dataclass(frozen=True)
class Consensus:
    """standard: its standard uncertainty; low, high: its 95 % interval"""

    value: float
    standard: float
    low: float
    high: float


def precision(cells: Cells) -> Precision:
    """Of two folders or more."""
    sizes, means, within, df = _moments(cells)
    folders, total = len(cells), sizes.sum()
    mean = float((sizes * means).sum() / total)
    scatter = float((sizes * (means - mean) ** 2).sum() / (folders - 1))
    size = float((total - (sizes**2).sum() / total) / (folders - 1))
    if df == 0:
        return Precision(mean, None, None, math.sqrt(scatter / size))
    between = max(0.0, (scatter - within) / size)
    return Precision(mean, math.sqrt(within), math.sqrt(between), math.sqrt(between + within))


def mandel(cells: Cells) -> list[Mandel]:
    """h and k of each folder. Marks follow the two-sided critical values of h, and the one-sided ones of k."""
    sizes, means, _, _ = _moments(cells)
    mean = float((sizes * means).sum() / sizes.sum())
    spread = math.sqrt(float(((means - mean) ** 2).sum()) / (len(cells) - 1))
    deviations = [float(np.std(cell, ddof=1)) if len(cell) > 1 else None for cell in cells]
    known = [sd for sd in deviations if sd is not None]
    pooled = math.sqrt(math.fsum(sd**2 for sd in known) / len(known)) if known else 0.0
    rows = []
    for place, (cell, own, sd) in enumerate(zip(cells, means, deviations, strict=True)):
        h = float(own - mean) / spread if spread else 0.0
        k = None if sd is None else sd / pooled if pooled else 1.0
        others = [len(other) for at, other in enumerate(cells) if at != place and len(other) > 1]
        rows.append(Mandel(len(cell), float(own), sd, h, k, _mark(h, k, len(cells), len(cell), others)))
    return rows


def _mark(h: float, k: float | None, folders: int, size: int, others: Sequence[int]) -> str:
    mark = ""
    for level, word in ((STRAGGLER, "straggler"), (OUTLIER, "outlier")):
        largest_h, largest_k = critical_h(folders, level), critical_k(size, others, level)
        if largest_h is not None and abs(h) > largest_h:
            mark = word
        if largest_k is not None and k is not None and k > largest_k:
            mark = word
    return mark


def critical_h(folders: int, level: float) -> float | None:
    """Two-sided; None for two folders, whose h are always alike. Exact for cells of equal size."""
    if folders < 3:
        return None
    t = float(stats.t.ppf(1 - level / 2, folders - 2))
    return (folders - 1) * t / math.sqrt(folders * (t**2 + folders - 2))


def critical_k(size: int, others: Sequence[int], level: float) -> float | None:
    """size: replicates of the folder; others: of the other folders that have two or more. Exact for equal sizes."""
    if size < 2 or not others:
        return None
    f = float(stats.f.ppf(1 - level, size - 1, sum(others) - len(others)))
    return math.sqrt((len(others) + 1) / (1 + len(others) / f))


def consensus(cells: Cells) -> Consensus:
    """Of two folders or more."""
    sizes, means, within, _ = _moments(cells)
    variances = within / sizes
    folders = len(cells)
    tau2 = _between(means, variances)
    total = variances + tau2
    if not total.any():
        value = float(means[0])
        return Consensus(value, 0.0, value, value)
    weights = 1 / total
    value = float((weights * means).sum() / weights.sum())
    standard = 1 / math.sqrt(float(weights.sum()))
    half = critical_t(folders - 1, CONFIDENCE) * standard
    return Consensus(value, standard, value - half, value + half)


def _between(means: NDArray[np.float64], variances: NDArray[np.float64]) -> float:
    """τ² of Paule and Mandel."""

    def excess(tau2: float) -> float:
        weights = 1 / (variances + tau2)
        mean = (weights * means).sum() / weights.sum()
        return float((weights * (means - mean) ** 2).sum()) - (len(means) - 1)

    # At this value the sum is at most p − 1, whatever the variances are: each weight is at most 1/τ².
    most = float(((means - means.mean()) ** 2).sum()) / (len(means) - 1)
    if most <= (ROUNDING * means.mean()) ** 2 or (variances.all() and excess(0.0) <= 0.0):
        return 0.0
    if excess(most) >= 0.0:
        return most
    return float(optimize.brentq(excess, most * 1e-12, most, xtol=most * 1e-12))


def _moments(cells: Cells) -> tuple[NDArray[np.float64], NDArray[np.float64], float, int]:
    """Size and mean of each cell, the variance within cells (0 where unknown) and its degrees of freedom."""
    sizes = np.array([len(cell) for cell in cells], dtype=float)
    means = np.array([math.fsum(cell) / len(cell) for cell in cells])
    df = int(sizes.sum()) - len(cells)
    squares = math.fsum((value - mean) ** 2 for cell, mean in zip(cells, means, strict=True) for value in cell)
    return sizes, means, squares / df if df else 0.0, df

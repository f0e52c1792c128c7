"""Repeatability, reproducibility, h and k against published examples; the consensus value against its promise."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from llenergymeasure.results.statistics.between_studies.interlaboratory import (
    consensus,
    critical_h,
    critical_k,
    mandel,
    precision,
)

# ISO 5725-2, annex B.1: the sulfur content of coal in %, level 1. Eight laboratories, cells of 3 to 5.
SULFUR = [
    [0.71, 0.71, 0.70, 0.71],
    [0.69, 0.67, 0.68],
    [0.66, 0.65, 0.69],
    [0.67, 0.65, 0.66],
    [0.70, 0.69, 0.66, 0.71, 0.69],
    [0.73, 0.74, 0.73],
    [0.71, 0.71, 0.69],
    [0.70, 0.65, 0.68],
]
# ASTM E691, table 1: glucose in serum, material A.
GLUCOSE = [
    [41.03, 41.45, 41.37],
    [41.17, 42.00, 41.15],
    [41.01, 40.68, 42.66],
    [39.37, 42.37, 42.63],
    [41.88, 41.19, 41.32],
    [43.28, 40.50, 42.28],
    [41.08, 41.27, 39.02],
    [43.36, 42.65, 41.72],
]


def test_the_example_of_the_standard_with_cells_of_unequal_size() -> None:
    figures = precision(SULFUR)
    assert figures.repeatability is not None
    published = (0.690, 0.015, 0.026)
    assert tuple(round(x, 3) for x in (figures.mean, figures.repeatability, figures.reproducibility)) == published


def test_the_example_of_e691_with_h_and_k() -> None:
    figures = precision(GLUCOSE)
    assert figures.mean == pytest.approx(41.5183, abs=5e-5)
    # The means scatter less than the replicates explain: s_L² would be negative, so s_R is s_r.
    assert figures.repeatability == pytest.approx(1.0632, abs=5e-5)
    assert (figures.between, figures.reproducibility) == (0.0, figures.repeatability)
    rows = mandel(GLUCOSE)
    assert [round(row.h, 2) for row in rows] == [-0.39, -0.13, -0.11, -0.10, -0.09, 0.83, -1.75, 1.75]
    assert [round(row.k or 0.0, 2) for row in rows] == [0.21, 0.46, 1.00, 1.70, 0.34, 1.32, 1.17, 0.77]


@pytest.mark.parametrize("sizes", [(4, 4, 4), (2, 5, 9, 3), (10, 2), (3, 1, 1, 6)])
def test_the_variances_are_those_of_a_one_way_analysis_of_variance(sizes: tuple[int, ...]) -> None:
    """Expected mean squares of the random model, for any sizes (Searle, Casella & McCulloch, ch. 3)."""
    rng = np.random.default_rng(sum(sizes))
    cells = [list(5 + rng.standard_normal() + 0.3 * rng.standard_normal(size)) for size in sizes]
    figures = precision(cells)
    values, total = np.concatenate(cells), sum(sizes)
    groups = np.repeat(range(len(sizes)), sizes)
    within = sum(((values[groups == g] - values[groups == g].mean()) ** 2).sum() for g in range(len(sizes)))
    among = ((values - values.mean()) ** 2).sum() - within
    square = within / (total - len(sizes))
    size = (total - sum(n**2 for n in sizes) / total) / (len(sizes) - 1)
    between = max(0.0, (among / (len(sizes) - 1) - square) / size)
    assert figures.repeatability == pytest.approx(math.sqrt(square))
    assert figures.reproducibility == pytest.approx(math.sqrt(square + between))


def test_critical_values_are_those_of_the_standards_tables() -> None:
    """ISO 5725-2:1994, tables 6 and 7, which give two decimals."""
    straggling = {3: 1.15, 4: 1.42, 5: 1.57, 6: 1.66, 7: 1.71, 8: 1.75, 9: 1.78, 10: 1.80}
    assert {folders: critical_h(folders, 0.05) for folders in straggling} == pytest.approx(straggling, abs=0.0051)
    outlying = {3: 1.15, 5: 1.72, 10: 2.18}
    assert {folders: critical_h(folders, 0.01) for folders in outlying} == pytest.approx(outlying, abs=0.0051)
    assert [critical_k(n, [n] * 2, 0.05) for n in (2, 3, 4)] == pytest.approx([1.65, 1.53, 1.45], abs=0.0051)
    assert [critical_k(n, [n] * 7, 0.01) for n in (2, 3, 4)] == pytest.approx([2.26, 1.96, 1.81], abs=0.0051)
    # With two folders h is always the same; one replicate has no scatter.
    assert (critical_h(2, 0.05), critical_k(1, [3, 3], 0.05), critical_k(3, [], 0.05)) == (None, None, None)


def test_a_folder_unlike_the_others_is_marked_and_the_others_are_not() -> None:
    assert [row.mark for row in mandel(SULFUR)] == ["", "", "", "", "", "straggler", "", "straggler"]
    steady = [[10.0, 10.1, 9.9], [10.1, 10.2, 10.0], [9.9, 10.0, 9.8], [10.05, 9.95, 10.1], [9.95, 10.0, 10.1]]
    assert {row.mark for row in mandel(steady)} == {""}
    assert [row.mark for row in mandel([*steady, [13.0, 13.1, 12.9]])][-1] == "outlier"
    assert [row.mark for row in mandel([*steady, [8.0, 12.0, 10.0]])][-1] == "outlier"


def test_single_replicates_show_how_folders_differ_and_not_how_replicates_do() -> None:
    cells = [[1.0], [1.2], [1.1]]
    figures = precision(cells)
    assert (figures.repeatability, figures.between) == (None, None)
    assert figures.reproducibility == pytest.approx(0.1)
    assert [row.k for row in mandel(cells)] == [None] * 3
    agreed = consensus(cells)
    assert (agreed.value, agreed.standard) == pytest.approx((1.1, 0.1 / math.sqrt(3)))


def test_figures_that_are_all_alike() -> None:
    cells = [[2.0, 2.0], [2.0, 2.0, 2.0]]
    agreed = consensus(cells)
    assert (agreed.value, agreed.low, agreed.high) == (2.0, 2.0, 2.0)
    assert precision(cells).reproducibility == 0.0
    assert [(row.h, row.k, row.mark) for row in mandel(cells)] == [(0.0, 1.0, "")] * 2


def test_cells_of_one_size_have_the_plain_mean_and_its_scatter() -> None:
    """With one size the weights are equal, and the consensus is Student's mean of the means, wherever they scatter."""
    rng = np.random.default_rng(8)
    cells = [list(10 + 2 * rng.standard_normal() + 0.1 * rng.standard_normal(4)) for _ in range(5)]
    means = [float(np.mean(cell)) for cell in cells]
    agreed = consensus(cells)
    assert agreed.value == pytest.approx(np.mean(means))
    assert agreed.standard == pytest.approx(np.std(means, ddof=1) / math.sqrt(5))
    assert agreed.high - agreed.value == pytest.approx(stats.t.ppf(0.975, 4) * agreed.standard)


@pytest.mark.parametrize(("folders", "between"), [(3, 3.0), (5, 0.5), (10, 1.0)])
def test_the_consensus_covers_the_true_value(folders: int, between: float) -> None:
    rng = np.random.default_rng(folders)
    covered = 0
    for _ in range(600):
        cells = [
            list(10 + between * rng.standard_normal() + rng.standard_normal(n)) for n in rng.integers(2, 9, folders)
        ]
        agreed = consensus(cells)
        covered += agreed.low <= 10 <= agreed.high
    assert covered / 600 >= 0.93


def test_equal_figures_agree_although_their_mean_is_rounded() -> None:
    figure = 0.3434980114077174
    agreed = consensus([[figure], [figure], [figure]])
    assert agreed.value == agreed.low == agreed.high == pytest.approx(figure)

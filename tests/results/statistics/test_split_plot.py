"""Variances apart, comparisons with the right one, and intervals that hold as often as they say."""

from __future__ import annotations

import math
from collections import Counter
from itertools import combinations

import numpy as np
import pytest
from results.statistics.simulated_studies import simulated
from scipy import stats

from llenergymeasure.results.statistics.comparisons.simultaneous import (
    _comparisons,
    comparisons_among,
    ratios_from_comparisons,
    ratios_to,
)
from llenergymeasure.results.statistics.split_plot import analyse


def test_variances_between_and_within_processes_come_out() -> None:
    rng = np.random.default_rng(1)
    estimates = [simulated(rng, setups=4, settings=4, replicates=5).variances for _ in range(300)]
    assert all(variances is not None for variances in estimates)
    assert np.mean([variances.residual for variances in estimates if variances]) == pytest.approx(0.005**2, rel=0.05)
    # Not cut off at 0, the estimate has no bias; with these variances it never is.
    assert np.mean([variances.process for variances in estimates if variances]) == pytest.approx(0.01**2, rel=0.08)
    # Nearly always all scatter alike.
    assert Counter((it.between_df, it.within_df) for it in estimates if it).most_common(1)[0][0] == (16, 48)


def test_figures_that_are_missing_leave_them_unbiased() -> None:
    rng = np.random.default_rng(2)
    estimates = [simulated(rng, setups=4, settings=4, replicates=6, missing=0.3).variances for _ in range(300)]
    assert np.mean([variances.residual for variances in estimates if variances]) == pytest.approx(0.005**2, rel=0.05)
    assert np.mean([variances.process for variances in estimates if variances]) == pytest.approx(0.01**2, rel=0.1)


def test_the_process_cancels_within_a_session_and_not_between() -> None:
    analysis = simulated(np.random.default_rng(7), setups=2, settings=3, replicates=5, process_cv=0.05)
    same, other = analysis.difference("l0s1", "l0s0"), analysis.difference("l1s0", "l0s0")
    assert same is not None and other is not None and analysis.variances is not None
    assert same.same_session and not other.same_session
    assert same.standard_error == pytest.approx(math.sqrt(2 * analysis.variances.residual / 5))
    assert other.standard_error > 4 * same.standard_error


def test_one_experiment_per_session_is_the_two_sample_t_test() -> None:
    one, two = [101.0, 99.5, 103.0, 100.0], [108.0, 109.5, 106.0, 107.0]
    values = {"a": dict(enumerate(one)), "b": dict(enumerate(two))}
    ratio = ratios_to(analyse(values, {"a": "x", "b": "y"}), "a", ["b"])["b"]
    assert ratio.low is not None and ratio.high is not None
    expected = stats.ttest_ind(np.log(two), np.log(one)).confidence_interval(0.95)
    assert (math.log(ratio.low), math.log(ratio.high)) == pytest.approx((expected.low, expected.high))


def test_one_replicate_has_a_ratio_and_no_interval() -> None:
    analysis = analyse({"a": {1: 2.0}, "b": {1: 3.0}}, {"a": "x", "b": "x"})
    ratio = ratios_to(analysis, "a", ["b"])["b"]
    assert (ratio.value, ratio.low, ratio.high) == (pytest.approx(1.5), None, None)


@pytest.mark.parametrize(("setups", "settings"), [(1, 4), (4, 1), (3, 3)])
def test_all_intervals_to_the_reference_hold_at_once_in_95_percent(setups: int, settings: int) -> None:
    rng = np.random.default_rng(4)
    studies, held = 120, 0
    for _ in range(studies):
        analysis = simulated(rng, setups=setups, settings=settings, replicates=4)
        others = [name for name in analysis.values if name != "l0s0"]
        ratios = ratios_to(analysis, "l0s0", others).values()
        held += all(
            ratio.low is not None and ratio.high is not None and ratio.low <= 1 <= ratio.high for ratio in ratios
        )
    # 95 % ± 3 standard errors of 120 draws.
    assert 0.89 <= held / studies <= 0.996


def test_the_best_is_separated_from_its_equals_in_at_most_five_percent() -> None:
    rng = np.random.default_rng(5)
    studies, wrong = 120, 0
    for _ in range(studies):
        analysis = simulated(rng, setups=2, settings=3, replicates=4)
        order = sorted(analysis.values, key=lambda name: math.fsum(analysis.values[name].values()))
        second = ratios_from_comparisons(analysis, comparisons_among(analysis, order), order[1:], order[0])[order[-1]]
        assert second.low is not None
        wrong += second.low > 1
    assert wrong / studies <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / studies)


def test_more_comparisons_make_wider_intervals_but_not_as_wide_as_bonferroni() -> None:
    analysis = simulated(np.random.default_rng(6), setups=1, settings=8, replicates=4)
    names = list(analysis.values)
    (alone,) = ratios_to(analysis, names[0], names[1:2]).values()
    among = ratios_to(analysis, names[0], names[1:])[names[1]]
    assert alone.high is not None and among.high is not None and analysis.variances is not None
    difference = analysis.difference(names[1], names[0])
    assert difference is not None
    wide = (math.log(among.high) - difference.value) / difference.standard_error
    single = (math.log(alone.high) - difference.value) / difference.standard_error
    bonferroni = stats.t.ppf(1 - 0.025 / 7, difference.df)
    assert single == pytest.approx(stats.t.ppf(0.975, difference.df))
    assert single * 1.2 < wide < 0.99 * bonferroni


def test_of_very_many_pairs_only_those_with_the_first_are_made_and_agree() -> None:
    analysis = simulated(np.random.default_rng(11), setups=6, settings=6, replicates=3)
    first, *others = analysis.values
    comparisons = comparisons_among(analysis, [first, *others])
    every = _comparisons(analysis, [(other, one) for one, other in combinations(analysis.values, 2)])
    assert comparisons is not None and every is not None
    assert len(comparisons.differences) < 2 * len(others) < len(every.differences) == 630
    assert comparisons.single_level == every.single_level
    assert {difference.same_session for difference in comparisons.differences} == {True, False}
    assert ratios_from_comparisons(analysis, comparisons, others, first) == ratios_from_comparisons(
        analysis, every, others, first
    )

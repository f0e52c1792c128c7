"""The difference that is said to be found in 80 % of studies is found in 80 % of them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from results.statistics.simulated_studies import simulated

from llenergymeasure.results.statistics.comparisons.power import WANTED, detectable
from llenergymeasure.results.statistics.comparisons.simultaneous import (
    Comparisons,
    comparisons_among,
    comparisons_to,
    ratios_from_comparisons,
)
from llenergymeasure.results.statistics.split_plot import SplitPlot, analyse

REFERENCE = "l0s0"


def to_reference(analysis: SplitPlot) -> Comparisons | None:
    return comparisons_to(analysis, REFERENCE, [name for name in analysis.values if name != REFERENCE])


def among_all(analysis: SplitPlot) -> Comparisons | None:
    return comparisons_among(analysis, list(analysis.values))


def study(rng: np.random.Generator, replicates: int, effects: dict[str, float] | None = None) -> SplitPlot:
    return simulated(rng, setups=2, settings=3, replicates=replicates, effects=effects)


@pytest.mark.parametrize(
    ("compared", "other", "same_session"), [(to_reference, "l1s0", False), (among_all, "l0s1", True)]
)
def test_it_is_found_in_80_percent_with_the_intervals_that_decide(
    compared: Callable[[SplitPlot], Comparisons | None], other: str, same_session: bool
) -> None:
    rng = np.random.default_rng(1)
    stated = []
    for _ in range(15):
        analysis = study(rng, 6)
        stated += [it.change for it in detectable(analysis, compared(analysis)) if it.same_session == same_session]
    detections, studies = 0, 150
    for _ in range(studies):
        analysis = study(rng, 6, {other: 1 + float(np.median(stated))})
        ratio = ratios_from_comparisons(analysis, compared(analysis), list(analysis.values)[1:], REFERENCE)[other]
        detections += bool(ratio.distinguishable)
    # Three standard errors of 150 draws are 10 %. With Student's value for a single comparison about half are found.
    assert detections / studies >= 0.7


def test_more_configurations_ask_for_a_larger_difference_and_more_replicates() -> None:
    rng = np.random.default_rng(2)
    analysis = study(rng, 6)
    one = detectable(analysis, comparisons_to(analysis, REFERENCE, ["l1s0"]))
    several, all_pairs = detectable(analysis, to_reference(analysis)), detectable(analysis, among_all(analysis))
    assert [it.same_session for it in several] == [it.same_session for it in all_pairs] == [True, False]
    assert one[0].change < several[1].change < all_pairs[1].change
    wanted = [it.replicates_wanted or 0 for it in (one[0], several[1], all_pairs[1])]
    assert wanted == sorted(wanted) and wanted[0] >= 2
    assert all((it.replicates_wanted or 0) > 6 for it in all_pairs if it.change > WANTED)


def test_an_experiment_that_lost_replicates_does_not_change_what_others_detect() -> None:
    whole = study(np.random.default_rng(4), 6)
    values = {name: dict(figures) for name, figures in whole.values.items()}
    values["l1s2"] = {1: values["l1s2"][1]}
    torn = analyse(values, whole.session_ids)
    for before, after in zip(detectable(whole, to_reference(whole)), detectable(torn, to_reference(torn)), strict=True):
        assert after.change == pytest.approx(before.change, rel=0.3)
        assert after.replicates_wanted == pytest.approx(before.replicates_wanted, rel=0.5)


def test_without_repetition_or_comparison_there_is_no_detectable_difference() -> None:
    single = study(np.random.default_rng(3), 1)
    assert detectable(single, to_reference(single)) == []
    alone = simulated(np.random.default_rng(3), setups=1, settings=1, replicates=3)
    assert detectable(alone, to_reference(alone)) == []

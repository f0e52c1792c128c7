"""Studies that hurt: what they must not make distinguishable, and what must still be found. All are seeded."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from llenergymeasure.results.statistics.comparisons.best_set import interval_of_chosen, may_be_best
from llenergymeasure.results.statistics.comparisons.simultaneous import (
    comparisons_among,
    ratios_from_comparisons,
    ratios_to,
)
from llenergymeasure.results.statistics.gains import Gain
from llenergymeasure.results.statistics.split_plot import SplitPlot, analyse, log_mean

Study = dict[str, dict[int, float]]


def setups(rng: np.random.Generator, count: int, replicates: int, scatter: float = 0.01) -> Study:
    """Equal experiments, each of a setup of its own."""
    logs = rng.normal(0, scatter, (count, replicates))
    return {f"e{row}": dict(enumerate(np.exp(figures).tolist(), start=1)) for row, figures in enumerate(logs)}


def each_alone(study: Study) -> dict[str, str]:
    return {name: name for name in study}


def share(rng_seed: int, verdict: Callable[[np.random.Generator], bool], studies: int = 50) -> float:
    rng = np.random.default_rng(rng_seed)
    return sum(verdict(rng) for _ in range(studies)) / studies


def any_distinguishable(analysis: SplitPlot, reference: str = "e0") -> bool:
    others = [name for name in analysis.values if name != reference]
    return any(ratio.distinguishable for ratio in ratios_to(analysis, reference, others).values())


@pytest.mark.parametrize(("factor", "replicates"), [(3, 3), (10, 5)])
def test_a_reference_that_scatters_more_makes_no_differences(factor: float, replicates: int) -> None:
    def false(rng: np.random.Generator) -> bool:
        study = setups(rng, 8, replicates)
        study["e0"] = {number: value**factor for number, value in study["e0"].items()}
        return any_distinguishable(analyse(study, each_alone(study)))

    # 6 % and two standard errors; one pooled variance gives 17 to 30 %.
    assert share(1, false) <= 0.12


def test_a_difference_is_found_although_blocks_differ() -> None:
    def detected(rng: np.random.Generator) -> bool:
        study = setups(rng, 2, 10)
        blocks = np.exp(rng.normal(0, 0.05, 10))
        moved = {
            name: {number: value * blocks[number - 1] for number, value in it.items()} for name, it in study.items()
        }
        moved["e1"] = {number: 1.02 * value for number, value in moved["e1"].items()}
        return any_distinguishable(analyse(moved, each_alone(moved), blocked=True))

    # 92 to 94 % of pairs in blocks; without the block term 1 %.
    assert share(2, detected) >= 0.85


def test_one_disturbed_run_does_not_hide_the_differences_of_others() -> None:
    rng = np.random.default_rng(3)
    study = setups(rng, 8, 5, scatter=0.003)
    study["e7"][1] *= 1.3
    study["e1"] = {number: 1.03 * value for number, value in study["e1"].items()}
    ratios = ratios_to(analyse(study, each_alone(study)), "e0", [f"e{number}" for number in range(1, 8)])
    assert [name for name, ratio in ratios.items() if ratio.distinguishable] == ["e1"]


def test_gains_of_other_boards_and_other_shares_do_not_cancel() -> None:
    study = setups(np.random.default_rng(4), 4, 10, scatter=0.001)
    study["e1"] = {number: 1.03 * value for number, value in study["e1"].items()}
    one_board, two_boards = {"A": Gain(1.0, 0.05)}, {"A": Gain(0.5, 0.05), "B": Gain(0.5, 0.05)}
    with_cpu = {"A": Gain(0.95, 0.05), "cpu": Gain(0.05, 0.05)}
    gains = {"e0": one_board, "e1": two_boards, "e2": one_board, "e3": with_cpu}
    analysis = analyse(study, each_alone(study), gains=gains)
    ratios = ratios_to(analysis, "e0", ["e1", "e2", "e3"])
    assert not ratios["e1"].distinguishable
    plain = ratios_to(analyse(study, each_alone(study)), "e0", ["e1", "e2", "e3"])
    assert plain["e1"].distinguishable and plain["e2"] == ratios["e2"]
    assert ratios["e3"].high is not None and plain["e3"].high is not None and ratios["e3"].high > plain["e3"].high


@pytest.mark.parametrize(("count", "replicates"), [(8, 3), (30, 10)])
def test_the_figure_of_the_chosen_one_is_covered(count: int, replicates: int) -> None:
    def covered(rng: np.random.Generator) -> bool:
        study = setups(rng, count, replicates)
        analysis = analyse(study, each_alone(study))
        chosen = min(study, key=lambda name: log_mean(study[name].values()))
        interval = interval_of_chosen(analysis, chosen, count)
        return interval.low is not None and interval.high is not None and interval.low <= 1 <= interval.high

    assert share(5, covered, 100) >= 0.9


def test_the_set_holds_the_best_and_leaves_out_what_is_worse() -> None:
    def kept(rng: np.random.Generator) -> bool:
        study = setups(rng, 6, 4)
        study["e5"] = {number: 1.2 * value for number, value in study["e5"].items()}
        names = sorted(study, key=lambda name: log_mean(study[name].values()))
        best = may_be_best(analyse(study, each_alone(study)), names, higher_is_better=False)
        assert best[0] == names[0] and "e5" not in best
        return "e0" in best

    assert share(6, kept) >= 0.9
    highest = {"slow": {1: 1.0, 2: 1.01, 3: 0.99}, "fast": {1: 2.0, 2: 2.01, 3: 1.99}}
    assert may_be_best(analyse(highest, each_alone(highest)), ["fast", "slow"], higher_is_better=True) == ["fast"]


def test_missing_replicates_make_no_differences() -> None:
    def false(rng: np.random.Generator) -> bool:
        process = rng.normal(0, 0.01, 5)
        study = {
            f"e{row}": {number: math.exp(process[number - 1] + rng.normal(0, 0.005)) for number in range(1, 6)}
            for row in range(8)
        }
        study["e0"] = {3: study["e0"][3]}
        return any_distinguishable(analyse(study, dict.fromkeys(study, "one")))

    # With the residuals of each experiment's own mean, 20 %.
    assert share(7, false) <= 0.1


def test_single_replicates_against_several_of_one_process_make_no_differences() -> None:
    """Nothing tells processes and runs apart then; as if all were of processes, 31 % of such studies differ."""

    def false(rng: np.random.Generator) -> bool:
        study = setups(rng, 6, 5)
        study = {name: figures if name == "e0" else {1: figures[1]} for name, figures in study.items()}
        return any_distinguishable(analyse(study, dict.fromkeys(study, "one")))

    assert share(8, false) <= 0.12


def test_an_interval_without_bounds_is_none() -> None:
    """One degree of freedom, and 1225 pairs: Student's factor is above ten thousand."""
    study = setups(np.random.default_rng(9), 50, 1, scatter=0.5)
    study["e0"][2] = 3 * study["e0"][1]
    analysis = analyse(study, each_alone(study))
    names = sorted(study, key=lambda name: log_mean(study[name].values()))
    ratios = ratios_from_comparisons(analysis, comparisons_among(analysis, names), names[1:], names[0])
    assert {(ratio.low, ratio.high, ratio.distinguishable) for ratio in ratios.values()} == {(None, None, None)}
    assert interval_of_chosen(analysis, names[0], 1225).low is None


def test_a_tie_by_rounding_is_a_tie_and_one_byte_is_a_difference() -> None:
    study = {
        "sum": {1: 0.1 + 0.2, 2: 0.1 + 0.2},
        "whole": {1: 0.3, 2: 0.3},
        "more": {1: 0.3 * (1 + 1e-8), 2: 0.3 * (1 + 1e-8)},
    }
    ratios = ratios_to(analyse(study, dict.fromkeys(study, "one")), "whole", ["sum", "more"])
    assert (ratios["sum"].distinguishable, ratios["more"].distinguishable) == (False, True)

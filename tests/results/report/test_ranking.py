"""Best, second best, and the Pareto front."""

from __future__ import annotations

import math
import random
import re
import statistics
from dataclasses import replace

import pytest
from results.made_up_run import ESTIMATED
from results.study_folder import MEASURED

from llenergymeasure.energy.uncertainty import expanded_from_parts
from llenergymeasure.records.metrics import METRICS, SUMMARY_METRICS
from llenergymeasure.results.report.experiments import ENERGY, SPEED, Experiment
from llenergymeasure.results.report.figures.energy_throughput import POINTS, scatter
from llenergymeasure.results.report.formatting import Scale
from llenergymeasure.results.report.headlines import describe_chosen_interval, describe_comparison
from llenergymeasure.results.report.ranking import Analyses, best, groups_by_source, pareto_front
from llenergymeasure.results.statistics.comparisons.simultaneous import ratios_to
from llenergymeasure.results.statistics.estimates import estimate
from llenergymeasure.results.statistics.split_plot import SplitPlot, analyse
from llenergymeasure.results.tables.output_match import Comparison


def experiment(
    name: str,
    energy: list[float],
    speed: list[float],
    *,
    source: str | None = MEASURED,
    boundary: str = "gpu",
    status: str = "ok",
) -> Experiment:
    values = {**{metric: [] for metric in METRICS}, ENERGY: energy, SPEED: speed}
    numbered = {metric: dict(enumerate(figures, 1)) for metric, figures in values.items()}
    return Experiment(
        experiment_id=name,
        setup_id="load",
        parts=[("name", name)],
        status=status,
        reason=None,
        replicates=len(speed),
        suspect_left_out=0,
        energy_source=source,
        boundary=source and boundary,
        meter_uncertainty=0.02,
        output_digest=None,
        comparison=Comparison(None, None, None, None, None, "made without", "made without"),
        estimates={metric: estimate(values[metric]) for metric in SUMMARY_METRICS},
        values=numbered,
        unknown={metric: "made without" for metric in SUMMARY_METRICS if not values[metric]},
        session_id="session",
        expanded95={},
        level=0.95,
        break_even={},
    )


def analyses_of(*items: Experiment) -> Analyses:
    """As of a study that holds these experiments, all of one session."""

    def analysis(metric: str, *_: object) -> SplitPlot:
        known = [item for item in items if item.values[metric]]
        values = {item.experiment_id: item.values[metric] for item in known}
        return analyse(values, {item.experiment_id: item.session_id for item in known})

    return analysis


def test_least_energy_and_most_tokens_win() -> None:
    few = experiment("few", [1.0, 1.1, 1.05], [10.0, 10.1, 10.2])
    fast = experiment("fast", [2.0, 2.1, 2.05], [20.0, 20.1, 20.2])
    analyses = analyses_of(fast, few)
    by_energy, by_speed = best([fast, few], ENERGY, analyses), best([fast, few], SPEED, analyses)
    assert by_energy is not None
    assert by_speed is not None
    assert (by_energy.first.label, by_speed.first.label) == ("name=few", "name=fast")
    assert by_energy.ratio is not None
    assert by_energy.ratio.value == pytest.approx(1.95, abs=0.01)
    assert by_energy.ratio.distinguishable is True
    assert by_energy.may_be_best == [few] and by_energy.apart


def test_one_sided_evidence_makes_a_best_but_nothing_distinguishable() -> None:
    """Of two equal ones either may come out lower, so a one-sided test at 5 % would tell 10 % of them apart."""
    logs = [0.016, 0.021, 0.041, 0.010, 0.001]
    low, high = experiment("low", [1.0] * 5, [1.0]), experiment("high", [math.exp(log) for log in logs], [1.0])
    analyses = analyses_of(low, high)
    deviation = statistics.stdev(logs) / math.sqrt(5)
    # Student's t with 4 degrees of freedom: 2.13 on one side, 2.78 on two.
    assert 2.13 < statistics.fmean(logs) / deviation < 2.78
    winner = best([low, high], ENERGY, analyses)
    assert winner is not None and winner.ratio is not None
    assert winner.may_be_best == [low] and not winner.apart and winner.ratio.distinguishable is False
    assert winner.ratio == pytest.approx(ratios_to(analyses(ENERGY, None, False), "low", ["high"])["high"])
    told = describe_comparison(winner)
    assert "at 95 % confidence no other is better, but not all are distinguishable from it" in told
    assert "has 1.02 times this figure (95 % interval 0.99" in told


def test_the_instrument_comes_on_top_of_the_interval_of_the_chosen_one() -> None:
    """Alone, the first scatters little: its own interval, even with the instrument, is the narrower one."""
    first = replace(
        experiment("first", [0.999, 1.0, 1.001], [1.0]),
        expanded95={ENERGY: 0.004},
        budgets=[{"gain": 0.003, "edge": 0.0}],
    )
    others = [experiment(name, [1.1, 1.15, 1.08], [1.0]) for name in ("one", "two", "three")]
    winner = best([first, *others], ENERGY, analyses_of(first, *others))
    assert winner is not None and winner.interval is not None and winner.interval.high is not None
    assert winner.interval.low is not None
    chosen = (winner.interval.high - winner.interval.low) / 2
    told = re.fullmatch(
        r"95 % .*; ± ([\d.]+) with the instrument's .*", describe_chosen_interval(winner, Scale(1, "J"))
    )
    assert told is not None and 0.004 < chosen < float(told[1])
    assert float(told[1]) == pytest.approx(expanded_from_parts(0.003 * 3**0.5, chosen / 1.96), rel=0.01)


def test_a_second_that_is_lower_in_the_common_replicates_says_so() -> None:
    """The first was not measured in the replicate in which all took more."""
    first, second = experiment("first", [1.02, 1.03], [1.0]), experiment("second", [1.01, 1.0, 1.5], [1.0])
    winner = best([first, second], ENERGY, analyses_of(first, second))
    assert winner is not None and winner.first is first and winner.common == 2
    assert "has 0.98 times this figure in the 2 replicates that both have (95 %" in describe_comparison(winner)
    complete = experiment("first", [1.02, 1.03, 1.4], [1.0])
    winner = best([complete, second], ENERGY, analyses_of(complete, second))
    assert winner is not None and winner.common is None


def test_nothing_to_rank_and_nothing_to_compare_with() -> None:
    blind, one = experiment("blind", [], [5.0], source=None), experiment("alone", [1.0], [5.0])
    assert best([], ENERGY, analyses_of()) is None
    assert best([blind], ENERGY, analyses_of(blind)) is None
    alone = best([one], ENERGY, analyses_of(one))
    assert alone is not None
    assert alone.second is None


def test_sources_are_ranked_apart_and_measured_ones_first() -> None:
    items = [
        experiment("guess", [0.1], [1.0], source=ESTIMATED),
        experiment("dear", [9.0], [1.0]),
        experiment("slow", [], [1.0], source=None),
        experiment("cheap", [5.0], [1.0]),
        experiment("broken", [0.01], [99.0], status="invalid"),
        experiment("quick", [], [2.0], source=None),
        experiment("partly", [7.0], [1.0], status="partial"),
    ]
    groups = groups_by_source(items)
    assert [(group.source, [item.experiment_id for item in group.experiments]) for group in groups] == [
        (MEASURED, ["cheap", "partly", "dear"]),
        (ESTIMATED, ["guess"]),
        (None, ["quick", "slow"]),
    ]
    assert [group.estimated for group in groups] == [False, True, False]


def test_boundaries_are_ranked_apart() -> None:
    items = [
        experiment("whole", [3.0], [1.0], boundary="gpu+cpu+dram"),
        experiment("board", [2.0], [1.0]),
        experiment("other board", [1.0], [1.0]),
    ]
    assert [(group.boundary, group.account, len(group.experiments)) for group in groups_by_source(items)] == [
        ("gpu", f"{MEASURED} over gpu", 2),
        ("gpu+cpu+dram", f"{MEASURED} over gpu+cpu+dram", 1),
    ]


def test_a_sum_with_an_estimate_in_it_counts_as_estimated() -> None:
    assert experiment("sum", [1.0], [1.0], source=f"{ESTIMATED}+estimated:other").estimated
    assert not experiment("sum", [1.0], [1.0], source=f"{MEASURED}+measured:rapl").estimated


def test_the_front_is_what_nobody_beats_in_both() -> None:
    generator = random.Random(3)
    items = [
        experiment(str(number), [generator.choice([1.0, 2.0, 3.0, 4.0])], [generator.choice([5.0, 6.0, 7.0, 8.0])])
        for number in range(60)
    ]
    front = pareto_front(items)
    points = {(item.values[ENERGY][1], item.values[SPEED][1]) for item in items}
    expected = {
        (energy, speed)
        for energy, speed in points
        if not any(e <= energy and s >= speed and (e, s) != (energy, speed) for e, s in points)
    }
    assert {(item.values[ENERGY][1], item.values[SPEED][1]) for item in front} == expected
    speeds = [item.values[SPEED][1] for item in front]
    assert speeds == sorted(speeds)


def test_a_figure_of_very_many_has_the_front_and_some_of_the_others() -> None:
    generator = random.Random(5)
    items = [experiment(str(number), [generator.uniform(1, 9)], [generator.uniform(1, 9)]) for number in range(2500)]
    figure = scatter(items, {item.experiment_id: item.experiment_id for item in items}, MEASURED)
    assert figure is not None
    front = {item.experiment_id for item in pareto_front(items)}
    assert {point.number for point in figure.points if point.on_front} == front
    assert 800 < len(figure.points) <= POINTS + len(front)
    assert figure.left_out == len(items) - len(figure.points)
    assert not figure.intervals
    assert all(point.across is None and point.along is None for point in figure.points)

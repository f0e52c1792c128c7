"""What a reader takes home: the best configurations, and what the data say about them, in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from llenergymeasure.results.report.experiments import ENERGY, SPEED, Experiment
from llenergymeasure.results.report.formatting import choose_scale, describe_interval, percent
from llenergymeasure.results.report.ranking import Best, Group, best


@dataclass(frozen=True)
class Headline:
    """A best configuration with its figure. source: of its energy; None for another figure"""

    title: str
    experiment: Experiment
    text: str
    unit: str
    interval: str
    comparison: str
    source: str | None


def headlines(groups: Sequence[Group]) -> list[Headline]:
    """The best by energy of each source, then the best by speed of all. groups: all ranked experiments by source"""
    by_energy = [(group.source, best(group.experiments, ENERGY)) for group in groups if group.source is not None]
    fastest = best([experiment for group in groups for experiment in group.experiments], SPEED)
    return [
        *(_headline("Best by energy", winner, source) for source, winner in by_energy if winner is not None),
        *([] if fastest is None else [_headline("Best by speed", fastest, None)]),
    ]


def describe_comparison(winner: Best) -> str:
    """What the data say about the first against the second."""
    if winner.second is None:
        return "no other configuration to compare with"
    second = f"the second, {winner.second.label}"
    if winner.ratio is None:
        return f"cannot be compared with {second}: a figure is missing or not positive"
    if winner.ratio.low is None or winner.ratio.high is None:
        return f"one replicate cannot distinguish it from {second}"
    value, low, high = winner.ratio.value, winner.ratio.low, winner.ratio.high
    ratio = f"which has {value:.3g} times this figure (95 % interval {low:.3g} to {high:.3g})"
    if winner.ratio.distinguishable:
        return f"distinguishable from {second}, {ratio}"
    verdict = f"not distinguishable from {second}, {ratio}"
    if winner.detectable is None:
        return verdict
    return f"{verdict}; a study like this one usually detects a difference of {percent(winner.detectable)}"


def _headline(title: str, winner: Best, source: str | None) -> Headline:
    experiment, estimate = winner.first, winner.first.estimates[winner.metric]
    scale = choose_scale(winner.metric, [estimate.mean])
    text, _ = scale.estimate(estimate)
    interval = describe_interval(estimate, scale)
    if winner.metric in experiment.expanded95:
        interval += f"; ± {scale.value(experiment.expanded95[winner.metric])} with the instrument's uncertainty"
    return Headline(
        title=title,
        experiment=experiment,
        text=text,
        unit=scale.unit,
        interval=interval,
        comparison=describe_comparison(winner),
        source=source,
    )

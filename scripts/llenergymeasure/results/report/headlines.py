"""What a reader takes home: the best configurations, and what the data say about them, in words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from llenergymeasure.config.problems.text import counted, first_few
from llenergymeasure.results.report.experiments import ENERGY, SPEED, Experiment
from llenergymeasure.results.report.formatting import Scale, choose_scale, describe_interval, percent
from llenergymeasure.results.report.ranking import Analyses, Best, Group, best
from llenergymeasure.results.statistics.instrument import expanded_with_gains

# How many of the configurations that may be the best as well are named.
NAMED = 3
FROM_SPEED = "energy is estimated from time and load, so it follows from speed and no difference in it is established"


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


def headlines(groups: Sequence[Group], analyses: Analyses) -> list[Headline]:
    """The best by energy of each source, then the best by speed of all. groups: all ranked experiments by source"""
    by_energy = [
        (group.source, best(group.experiments, ENERGY, analyses)) for group in groups if group.source is not None
    ]
    fastest = best([experiment for group in groups for experiment in group.experiments], SPEED, analyses)
    return [
        *(_headline("Best by energy", winner, source) for source, winner in by_energy if winner is not None),
        *([] if fastest is None else [_headline("Best by speed", fastest, None)]),
    ]


def describe_comparison(winner: Best) -> str:
    """Which others may be the best as well, and what the data say about the first against the second."""
    sentences = [FROM_SPEED if winner.estimated else _describe_set(winner)]
    if winner.with_suspects is not None and not winner.estimated:
        sentences.append(_describe_with_suspects(winner, winner.with_suspects))
    if winner.first.suspect and not winner.first.suspect_left_out:
        codes = ", ".join(group.code for group in winner.first.doubts_by_code)
        sentences.append(f"its own runs are suspect ({codes})")
    return "; ".join(sentences)


def describe_chosen_interval(winner: Best, scale: Scale) -> str:
    """`95 % interval 0.51 to 0.53, chosen among 8, n = 3`, and with the instrument; the reason where there is none."""
    estimate = winner.first.estimates[winner.metric]
    if winner.estimated:
        return f"an estimate, n = {estimate.n}"
    if winner.interval is None or winner.interval.low is None or winner.interval.high is None:
        return describe_interval(estimate, scale)
    chosen = f", chosen among {winner.ranked}" if winner.ranked > 1 else ""
    low, high = scale.value(winner.interval.low), scale.value(winner.interval.high)
    expanded = _expanded_of_chosen(winner, winner.interval.low, winner.interval.high)
    whole = "" if expanded is None else f"; ± {scale.value(expanded)} with the instrument's uncertainty"
    return f"95 % interval {low} to {high}{chosen}, n = {estimate.n}{whole}"


def _expanded_of_chosen(winner: Best, low: float, high: float) -> float | None:
    """Half width of the chosen figure's interval, low to high, with what all runs share; None where none is stated.

    As `instrument.expanded_of_mean`, which holds for one experiment that was not chosen by its figure.
    """
    experiment = winner.first
    of_mean, mean = experiment.expanded95.get(winner.metric), experiment.mean(winner.metric)
    if of_mean is None or mean is None or not experiment.budgets:
        return of_mean
    gain, temperature = (
        abs(mean) * math.fsum(budget.get(kind, 0.0) for budget in experiment.budgets) / len(experiment.budgets)
        for kind in ("gain", "temperature")
    )
    return max(of_mean, expanded_with_gains((high - low) / 2, gain, temperature))


def _describe_with_suspects(winner: Best, every: Best) -> str:
    """What changes if the suspect runs count. every: over all runs"""
    if every.first is not winner.first:
        return f"with the suspect runs the first is {every.first.label}: {_describe_set(every)}"
    unchanged = {one.experiment_id for one in every.may_be_best} == {one.experiment_id for one in winner.may_be_best}
    return "the same with the suspect runs" if unchanged else f"with the suspect runs: {_describe_set(every)}"


def _describe_set(winner: Best) -> str:
    if winner.second is None:
        return "no other configuration to compare with"
    second = f"the second, {winner.second.label}"
    if winner.ratio is None:
        return f"cannot be compared with {second}: a figure is missing or not positive"
    if winner.ratio.low is None or winner.ratio.high is None:
        return f"too few replicates to distinguish it from {second}"
    value, low, high = winner.ratio.value, winner.ratio.low, winner.ratio.high
    # Otherwise a second with a lower figure in these would contradict the order, which is by the means of all.
    among = "" if winner.common is None else f" in the {counted(winner.common, 'replicate')} that both have"
    ratio = f"{value:.3g} times this figure{among} (95 % interval {low:.3g} to {high:.3g})"
    others = [experiment.label for experiment in winner.may_be_best if experiment is not winner.first]
    if winner.apart:
        return f"distinguishable from all others, also from {second}, which has {ratio}"
    # Another test than that of the set: of pairs, on both sides. It may set none apart where the set holds the first.
    rest = "at 95 % confidence no other is better, but not all are distinguishable from it"
    if others:
        which = "all" if len(others) == winner.ranked - 1 > 1 else str(len(others))
        rest = f"{which} of {winner.ranked - 1} others may be the best as well ({first_few(others, NAMED, '; ')})"
    verdict = f"{rest}; {second}, has {ratio}"
    if winner.detectable is None:
        return verdict
    return f"{verdict}; 80 % of studies like this one detect a difference of {percent(winner.detectable)}"


def _headline(title: str, winner: Best, source: str | None) -> Headline:
    experiment, estimate = winner.first, winner.first.estimates[winner.metric]
    scale = choose_scale(winner.metric, [estimate.mean])
    text, _ = scale.estimate(estimate)
    return Headline(
        title=title,
        experiment=experiment,
        text=text,
        unit=scale.unit,
        interval=describe_chosen_interval(winner, scale),
        comparison=describe_comparison(winner),
        source=source,
    )

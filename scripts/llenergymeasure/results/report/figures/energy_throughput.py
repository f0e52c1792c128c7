"""The figure of energy against throughput, with intervals and the Pareto front of the means."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from llenergymeasure.records.metrics import METRICS
from llenergymeasure.results.report.experiments import ENERGY, SPEED, Experiment
from llenergymeasure.results.report.figures.axis import Axis, linear_axis
from llenergymeasure.results.report.figures.name_placement import Box, Name, place_name
from llenergymeasure.results.report.figures.rows import ROWS
from llenergymeasure.results.report.formatting import Scale, choose_scale, describe_estimate
from llenergymeasure.results.report.ranking import pareto_front
from llenergymeasure.results.statistics.estimates import Estimate

# More points than this hide each other, and intervals do so before.
POINTS, INTERVALS = 1000, 200
WIDTH, HEIGHT = 960, 460
LEFT, RIGHT, TOP, BOTTOM = 76, 24, 18, 56
RADIUS, SMALL_RADIUS = 11, 4
# Names may stand beside the plot, but not on its axes.
NAMES = Box(LEFT + 2, 2, WIDTH - 2, HEIGHT - BOTTOM - 2)


@dataclass(frozen=True)
class Bar:
    """An interval of one point along one direction, in pixels; an open end lies outside the plot."""

    start: float
    end: float
    open_start: bool
    open_end: bool


@dataclass(frozen=True)
class Point:
    """One configuration, in pixels. across: interval of throughput; along: interval of energy"""

    x: float
    y: float
    number: str
    on_front: bool
    title: str
    name: Name
    across: Bar | None
    along: Bar | None


@dataclass(frozen=True)
class Scatter:
    """One source of energy.

    front: SVG path of the Pareto front
    cut: whether an interval reaches beyond the plot
    left_out: how many points are not drawn
    intervals: whether intervals are drawn
    """

    x_axis: Axis
    y_axis: Axis
    points: list[Point]
    front: str
    estimated: bool
    source: str
    cut: bool
    radius: int
    left_out: int
    intervals: bool


@dataclass(frozen=True)
class _Plot:
    """The two axes, and where an experiment lies between them."""

    speed_axis: Axis
    energy_axis: Axis
    energy_scale: Scale
    intervals: bool

    def place(self, experiment: Experiment) -> tuple[float, float]:
        """x and y of the means, in pixels."""
        across = self.speed_axis.at(experiment.mean(SPEED) or 0.0)
        up = self.energy_axis.at((experiment.mean(ENERGY) or 0.0) / self.energy_scale.divisor)
        return (
            round(LEFT + across * (WIDTH - LEFT - RIGHT), 1),
            round(HEIGHT - BOTTOM - up * (HEIGHT - TOP - BOTTOM), 1),
        )

    def across(self, experiment: Experiment) -> Bar | None:
        if not self.intervals:
            return None
        return _bar(self.speed_axis, experiment.estimates[SPEED], 1.0, LEFT, WIDTH - RIGHT)

    def along(self, experiment: Experiment) -> Bar | None:
        if not self.intervals:
            return None
        divisor = self.energy_scale.divisor
        return _bar(self.energy_axis, experiment.estimates[ENERGY], divisor, HEIGHT - BOTTOM, TOP)


def scatter(experiments: Sequence[Experiment], numbers: Mapping[str, str], source: str) -> Scatter | None:
    """Energy per output token over throughput. None where no experiment has both.

    Of very many the front is drawn, and every n-th of the others in their order, which is by energy.
    """
    known = [
        experiment
        for experiment in experiments
        if experiment.mean(SPEED) is not None and experiment.mean(ENERGY) is not None
    ]
    if not known:
        return None
    front = pareto_front(known)
    front_ids = {experiment.experiment_id for experiment in front}
    step = math.ceil(len(known) / POINTS)
    drawn = [
        experiment
        for place, experiment in enumerate(known)
        if place % step == 0 or experiment.experiment_id in front_ids
    ]
    plot = _plot(drawn)
    radius = RADIUS if len(drawn) <= ROWS else SMALL_RADIUS
    points = _points(drawn, numbers, front_ids, plot, radius)
    bars = [bar for point in points for bar in (point.across, point.along) if bar is not None]
    return Scatter(
        x_axis=plot.speed_axis,
        y_axis=plot.energy_axis,
        points=points,
        front=_steps([plot.place(experiment) for experiment in front]),
        estimated=drawn[0].estimated,
        source=source,
        cut=any(bar.open_start or bar.open_end for bar in bars),
        radius=radius,
        left_out=len(known) - len(drawn),
        intervals=plot.intervals,
    )


def _plot(drawn: Sequence[Experiment]) -> _Plot:
    scale = choose_scale(ENERGY, [experiment.mean(ENERGY) for experiment in drawn])
    kind = "ESTIMATED energy" if drawn[0].estimated else "Energy"
    joules = scale.unit.removesuffix("/output token")
    return _Plot(
        speed_axis=_axis([experiment.estimates[SPEED] for experiment in drawn], 1.0, "Throughput, output tokens/s"),
        energy_axis=_axis(
            [experiment.estimates[ENERGY] for experiment in drawn],
            scale.divisor,
            f"{kind} per output token, {joules}",
        ),
        energy_scale=scale,
        intervals=len(drawn) <= INTERVALS,
    )


def _points(
    drawn: Sequence[Experiment], numbers: Mapping[str, str], front_ids: set[str], plot: _Plot, radius: int
) -> list[Point]:
    """One point per experiment, with names beside the points of the front where there is room."""
    places = [plot.place(experiment) for experiment in drawn]
    across = [plot.across(experiment) for experiment in drawn]
    along = [plot.along(experiment) for experiment in drawn]
    taken = [Box(x - radius, y - radius, x + radius, y + radius) for x, y in places]
    taken += [Box(bar.start, y - 4, bar.end, y + 4) for bar, (_, y) in zip(across, places, strict=True) if bar]
    taken += [Box(x - 4, bar.end, x + 4, bar.start) for bar, (x, _) in zip(along, places, strict=True) if bar]
    points = []
    for experiment, (x, y), speed_bar, energy_bar in zip(drawn, places, across, along, strict=True):
        on_front = experiment.experiment_id in front_ids
        points.append(
            Point(
                x=x,
                y=y,
                number=numbers[experiment.experiment_id],
                on_front=on_front,
                title=_describe_point(experiment, plot.energy_scale),
                # Only the front is named: people look for it, and the numbers name the rest.
                name=place_name(experiment.label if on_front else "", x, y, radius, NAMES, taken),
                across=speed_bar,
                along=energy_bar,
            )
        )
    return points


def _axis(estimates: Iterable[Estimate], divisor: float, title: str) -> Axis:
    """Covers every mean and, as far as they don't flatten the picture, the intervals. Never below zero."""
    known = list(estimates)
    means = [estimate.mean / divisor for estimate in known if estimate.mean is not None]
    spread = (max(means) - min(means)) or max(means) * 0.2 or 1.0
    ends = [end / divisor for estimate in known for end in (estimate.low, estimate.high) if end is not None]
    low = max(min([*means, *ends]), min(means) - 0.6 * spread, 0.0)
    high = min(max([*means, *ends]), max(means) + 0.6 * spread)
    margin = 0.06 * (high - low)
    low = 0.0 if low < 0.3 * high else low - margin
    return linear_axis(max(low, 0.0), high + margin, title)


def _bar(axis: Axis, estimate: Estimate, divisor: float, at_low: float, at_high: float) -> Bar | None:
    """The interval between the pixels of the axis's ends; None where there is no interval."""
    if estimate.low is None or estimate.high is None:
        return None
    low, high = estimate.low / divisor, estimate.high / divisor
    start, end = (round(at_low + axis.at(value) * (at_high - at_low), 1) for value in (low, high))
    return Bar(start, end, not axis.contains(low), not axis.contains(high))


def _steps(places: Sequence[tuple[float, float]]) -> str:
    """The edge of what the front beats: from each point up to the energy of the next faster one, then across."""
    if not places:
        return ""
    path = f"M{places[0][0]},{places[0][1]}"
    for x, y in places[1:]:
        path += f"H{x}V{y}"
    return path


def _describe_point(experiment: Experiment, energy_scale: Scale) -> str:
    speed = describe_estimate(experiment.estimates[SPEED], Scale(1.0, METRICS[SPEED].unit))
    energy = describe_estimate(experiment.estimates[ENERGY], energy_scale)
    return f"{experiment.label}\n{speed}\n{energy}{' — ESTIMATED' if experiment.estimated else ''}"

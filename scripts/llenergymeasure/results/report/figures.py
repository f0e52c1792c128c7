"""Geometry of the figures. Drawing is the template's; here is where things lie, as fractions or in pixels.

No charting library: a figure is a few lines of SVG that take their colours from the page, in light, in dark and on
paper, and need no script.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from llenergymeasure.records.labels import Part
from llenergymeasure.records.metrics import METRICS, REQUEST_LATENCIES, Metric
from llenergymeasure.results.report.experiments import ENERGY, SPEED, Experiment
from llenergymeasure.results.report.formatting import Scale, scale_of, unit_scale
from llenergymeasure.results.report.ranking import pareto_front
from llenergymeasure.results.statistics.estimates import Estimate
from llenergymeasure.results.tables.latencies import Distribution
from llenergymeasure.results.tables.latencies import Latencies as Distributions

# More rows than this nobody reads in a figure; the tables hold all of them.
ROWS = 40
# More points than this hide each other, and intervals do so before.
POINTS, INTERVALS = 1000, 200
WIDTH, HEIGHT = 960, 460
LEFT, RIGHT, TOP, BOTTOM = 76, 24, 18, 56
RADIUS = 11
LETTER = 6.7
NAME = 70


@dataclass(frozen=True)
class Axis:
    """A linear axis; `ticks` are (fraction of its length, text)."""

    low: float
    high: float
    ticks: list[tuple[float, str]]
    title: str = ""

    def at(self, value: float) -> float:
        """Fraction of the axis, cut off at its ends."""
        return min(max((value - self.low) / (self.high - self.low), 0.0), 1.0)

    def percent(self, value: float) -> float:
        return round(100 * self.at(value), 3)

    def holds(self, value: float) -> bool:
        return self.low <= value <= self.high


def linear_axis(low: float, high: float, title: str = "", *, wanted: int = 6) -> Axis:
    """An axis over low … high, widened to round numbers, with about so many ticks at 1, 2, 2.5 or 5 × 10ⁿ."""
    if not high > low:
        low, high = (0.0, high) if high > 0 else (low - 1.0, low + 1.0)
    rough = (high - low) / wanted
    power = 10.0 ** math.floor(math.log10(rough))
    factor = next(factor for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough * 0.999)
    step = factor * power
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    places = max(0, -math.floor(math.log10(step) + 1e-9) + (factor == 2.5))
    ticks = [
        ((number - first) / (last - first), f"{number * step:,.{places}f}".replace(",", " "))
        for number in range(first, last + 1)
    ]
    return Axis(first * step, last * step, ticks, title)


# Energy against throughput ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Bar:
    """An interval of one point along one direction, in pixels; an open end lies outside the plot."""

    start: float
    end: float
    open_start: bool
    open_end: bool


@dataclass(frozen=True)
class Point:
    x: float
    y: float
    number: str
    on_front: bool
    title: str
    text: str
    text_x: float
    text_y: float
    anchor: str
    across: Bar | None
    along: Bar | None


@dataclass(frozen=True)
class Scatter:
    """One source of energy. `cut` says that an interval reaches beyond the plot; `left_out` points are not drawn."""

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


def scatter(experiments: Sequence[Experiment], numbers: Mapping[str, str], source: str) -> Scatter | None:
    """Energy per output token over throughput, with intervals and the Pareto front of the means.

    Of very many the front is drawn, and of the others every so many'th in their order, which is by energy.
    """
    known = [item for item in experiments if item.mean(SPEED) is not None and item.mean(ENERGY) is not None]
    if not known:
        return None
    front = pareto_front(known)
    on_front = {item.experiment_id for item in front}
    step = math.ceil(len(known) / POINTS)
    shown = [item for place, item in enumerate(known) if place % step == 0 or item.experiment_id in on_front]
    energy = scale_of(ENERGY, [item.mean(ENERGY) for item in shown])
    estimated = shown[0].estimated
    speed_axis = _axis_of([item.estimates[SPEED] for item in shown], 1.0, "Throughput, output tokens/s")
    kind = "ESTIMATED energy" if estimated else "Energy"
    energy_axis = _axis_of(
        [item.estimates[ENERGY] for item in shown], energy.divisor, f"{kind} per output token, {energy.unit[:-13]}"
    )
    places = [(_x(speed_axis, item), _y(energy_axis, item, energy)) for item in shown]
    radius = RADIUS if len(shown) <= ROWS else 4
    taken = [(x - radius, y - radius, x + radius, y + radius) for x, y in places]
    intervals = len(shown) <= INTERVALS
    across: list[Bar | None] = [None] * len(shown)
    along: list[Bar | None] = [None] * len(shown)
    if intervals:
        across = [_interval(speed_axis, item.estimates[SPEED], 1.0, LEFT, WIDTH - RIGHT) for item in shown]
        along = [_interval(energy_axis, item.estimates[ENERGY], energy.divisor, HEIGHT - BOTTOM, TOP) for item in shown]
    taken += [(bar.start, y - 4, bar.end, y + 4) for bar, (_, y) in zip(across, places, strict=True) if bar]
    taken += [(x - 4, bar.end, x + 4, bar.start) for bar, (x, _) in zip(along, places, strict=True) if bar]
    points = []
    # Only the front is named: it is what people look for, and the numbers name the rest.
    for place, item in enumerate(shown):
        x, y = places[place]
        name = item.label if item.experiment_id in on_front else ""
        text, text_x, text_y, anchor = _place_text(name, x, y, radius, taken)
        points.append(
            Point(
                x=x,
                y=y,
                number=numbers[item.experiment_id],
                on_front=item.experiment_id in on_front,
                title=_hover(item, energy),
                text=text,
                text_x=text_x,
                text_y=text_y,
                anchor=anchor,
                across=across[place],
                along=along[place],
            )
        )
    place_of = {item.experiment_id: place for item, place in zip(shown, places, strict=True)}
    bars = [bar for point in points for bar in (point.across, point.along) if bar is not None]
    return Scatter(
        x_axis=speed_axis,
        y_axis=energy_axis,
        points=points,
        front=_steps([place_of[item.experiment_id] for item in front]),
        estimated=estimated,
        source=source,
        cut=any(bar.open_start or bar.open_end for bar in bars),
        radius=radius,
        left_out=len(known) - len(shown),
        intervals=intervals,
    )


def _axis_of(estimates: Iterable[Estimate], divisor: float, title: str) -> Axis:
    """Holds every mean and, as far as they don't flatten the picture, the intervals. Never below zero."""
    found = list(estimates)
    means = [item.mean / divisor for item in found if item.mean is not None]
    spread = (max(means) - min(means)) or max(means) * 0.2 or 1.0
    ends = [end / divisor for item in found for end in (item.low, item.high) if end is not None]
    low = max(min([*means, *ends]), min(means) - 0.6 * spread, 0.0)
    high = min(max([*means, *ends]), max(means) + 0.6 * spread)
    margin = 0.06 * (high - low)
    low = 0.0 if low < 0.3 * high else low - margin
    return linear_axis(max(low, 0.0), high + margin, title)


def _x(axis: Axis, item: Experiment) -> float:
    return round(LEFT + axis.at(item.mean(SPEED) or 0.0) * (WIDTH - LEFT - RIGHT), 1)


def _y(axis: Axis, item: Experiment, scale: Scale) -> float:
    fraction = axis.at((item.mean(ENERGY) or 0.0) / scale.divisor)
    return round(HEIGHT - BOTTOM - fraction * (HEIGHT - TOP - BOTTOM), 1)


def _interval(axis: Axis, found: Estimate, divisor: float, at_low: float, at_high: float) -> Bar | None:
    if found.low is None or found.high is None:
        return None
    low, high = found.low / divisor, found.high / divisor
    start, end = (round(at_low + axis.at(value) * (at_high - at_low), 1) for value in (low, high))
    return Bar(start, end, not axis.holds(low), not axis.holds(high))


def _steps(places: Sequence[tuple[float, float]]) -> str:
    """The edge of what the front beats: from each point up to the energy of the next faster one, then across."""
    if not places:
        return ""
    path = f"M{places[0][0]},{places[0][1]}"
    for x, y in places[1:]:
        path += f"H{x}V{y}"
    return path


def _place_text(
    label: str, x: float, y: float, radius: int, taken: list[tuple[float, float, float, float]]
) -> tuple[str, float, float, str]:
    """Right of the point, left, above or below, whichever is free; no text where none is (the number stays)."""
    text = label if len(label) <= NAME else f"{label[: NAME - 1]}…"
    width, gap = len(text) * LETTER, radius + 6
    for text_x, text_y, anchor in (
        (x + gap, y + 4, "start"),
        (x - gap, y + 4, "end"),
        (x, y - gap, "middle"),
        (x, y + gap + 9, "middle"),
    ):
        start = text_x - {"start": 0.0, "middle": width / 2, "end": width}[anchor]
        box = (start, text_y - 11, start + width, text_y + 3)
        inside = box[0] >= LEFT + 2 and box[2] <= WIDTH - 2 and box[1] >= 2 and box[3] <= HEIGHT - BOTTOM - 2
        if inside and not any(_overlap(box, other) for other in taken):
            taken.append(box)
            return text, round(text_x, 1), round(text_y, 1), anchor
    return "", x, y, "middle"


def _overlap(one: tuple[float, float, float, float], other: tuple[float, float, float, float]) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _hover(item: Experiment, energy: Scale) -> str:
    return (
        f"{item.label}\n{spelled(item.estimates[SPEED], Scale(1.0, METRICS[SPEED].unit))}\n"
        f"{spelled(item.estimates[ENERGY], energy)}{' — ESTIMATED' if item.estimated else ''}"
    )


def spelled(found: Estimate, scale: Scale) -> str:
    """`52.1 output tokens/s, 95 % interval 50.8 to 53.4, n = 3`."""
    if found.mean is None:
        return "unknown"
    text = f"{scale.value(found.mean)} {scale.unit}"
    if found.low is None or found.high is None:
        return f"{text}, n = 1, no interval"
    return f"{text}, 95 % interval {scale.value(found.low)} to {scale.value(found.high)}, n = {found.n}"


# Rows: one configuration each, its figures along a shared axis -------------------------------------------------


@dataclass(frozen=True)
class Row:
    """Positions in percent of the axis, by what they mark."""

    parts: list[Part]
    number: str
    text: str
    title: str
    marks: Mapping[str, float] = field(default_factory=dict)
    estimated: bool = False


@dataclass(frozen=True)
class Rows:
    """A figure of rows. `left_out` rows are not drawn."""

    axis: Axis
    rows: list[Row]
    left_out: int = 0


def phase_rows(experiments: Sequence[Experiment], numbers: Mapping[str, str]) -> Rows | None:
    """Energy of a request, prefill and decode stacked. The experiments have one source of energy."""
    known = [item for item in experiments if item.mean("energy_per_request_j") is not None]
    if not known:
        return None
    scale = unit_scale("J", [item.mean("energy_per_request_j") for item in known])
    top = max(item.mean("energy_per_request_j") or 0.0 for item in known)
    highs = [item.estimates["energy_per_request_j"].high or 0.0 for item in known]
    kind = "ESTIMATED energy" if known[0].estimated else "Energy"
    axis = linear_axis(0.0, min(max([top, *highs]), 1.6 * top) / scale.divisor, f"{kind} per request, {scale.unit}")
    rows = [_phase_row(item, numbers, axis, scale) for item in known[:ROWS]]
    return Rows(axis, rows, len(known) - len(rows))


def _phase_row(item: Experiment, numbers: Mapping[str, str], axis: Axis, scale: Scale) -> Row:
    whole, prefill, decode = (
        item.estimates[name] for name in ("energy_per_request_j", "prefill_energy_j", "decode_energy_j")
    )
    assert whole.mean is not None
    marks = {"whole": axis.percent(whole.mean / scale.divisor)}
    if prefill.mean is None or decode.mean is None:
        text = f"{scale.value(whole.mean)} (phases unknown)"
        why = item.unknown.get("prefill_energy_j", "no reason given")
    elif prefill.mean < 0 or decode.mean < 0:
        # A difference of two windows; where noise exceeds the phase itself, a bar would be a lie.
        text = f"{scale.value(prefill.mean)} + {scale.value(decode.mean)} (below noise)"
        why = "prefill took as much as the whole request; repeat with longer outputs or windows to tell them apart"
    else:
        marks["prefill"] = axis.percent(prefill.mean / scale.divisor)
        text = f"{scale.value(prefill.mean)} + {scale.value(decode.mean)}"
        why = f"prefill {spelled(prefill, scale)}\ndecode {spelled(decode, scale)}"
    marks |= _whisker(whole, axis, scale)
    title = f"{item.label}\nwhole request {spelled(whole, scale)}\n{why}"
    return Row(item.parts, numbers[item.experiment_id], text, title, marks, item.estimated)


def memory_rows(
    experiments: Sequence[Experiment], numbers: Mapping[str, str], load_bytes: Mapping[str, tuple[float | None, ...]]
) -> Rows | None:
    """Peak in the window; `load_bytes` adds the weights at rest and the setup's own peak, by setup_id."""
    metric = "peak_memory_bytes"
    known = [item for item in experiments if item.mean(metric) is not None]
    if not known:
        return None
    scale = unit_scale("bytes", [item.mean(metric) for item in known])
    extra = [value for item in known for value in load_bytes.get(item.setup_id, ()) if value is not None]
    top = max([*(item.mean(metric) or 0.0 for item in known), *extra])
    axis = linear_axis(0.0, top / scale.divisor, f"Memory, {scale.unit}")
    rows = []
    for item in known[:ROWS]:
        peak = item.estimates[metric]
        assert peak.mean is not None
        resident, load_peak = load_bytes.get(item.setup_id, (None, None))
        marks = {"peak": axis.percent(peak.mean / scale.divisor), **_whisker(peak, axis, scale)}
        lines = [item.label, f"peak in the window {spelled(peak, scale)}"]
        for name, words, value in (("weights", "weights", resident), ("load", "peak while loading", load_peak)):
            if value is not None:
                marks[name] = axis.percent(value / scale.divisor)
                lines.append(f"{words} {scale.value(value)} {scale.unit}")
        if (held := item.mean("process_memory_bytes")) is not None:
            lines.append(f"held by the processes, by the driver's count {scale.value(held)} {scale.unit}")
        rows.append(Row(item.parts, numbers[item.experiment_id], scale.value(peak.mean), "\n".join(lines), marks))
    return Rows(axis, rows, len(known) - len(rows))


@dataclass(frozen=True)
class LatencyRow:
    """One configuration; `cells` has one row for each axis of the figure, None where nothing is known."""

    parts: list[Part]
    number: str
    cells: list[Row | None]


@dataclass(frozen=True)
class Latencies:
    """Quantiles of each latency side by side, one row a configuration."""

    metrics: list[Metric]
    axes: list[Axis]
    rows: list[LatencyRow]
    left_out: int


def latency_figure(
    experiments: Sequence[Experiment],
    numbers: Mapping[str, str],
    latencies: Distributions,
) -> Latencies | None:
    """TTFT and end-to-end latency over requests, inter-token latency over the intervals between tokens."""
    known = [item for item in experiments if latencies.get(item.experiment_id)]
    shown = known[:ROWS]
    metrics = [name for name in REQUEST_LATENCIES if any(name in latencies[item.experiment_id] for item in shown)]
    if not metrics:
        return None
    scales = {
        name: unit_scale("s", [found.p50 for item in shown if (found := latencies[item.experiment_id].get(name))])
        for name in metrics
    }
    axes = {
        name: linear_axis(
            0.0,
            max(found.p99 for item in shown if (found := latencies[item.experiment_id].get(name))) / scale.divisor,
            scale.unit,
            wanted=3,
        )
        for name, scale in scales.items()
    }
    rows = [
        LatencyRow(
            item.parts,
            numbers[item.experiment_id],
            [_latency_row(item, latencies[item.experiment_id].get(name), axes[name], scales[name]) for name in metrics],
        )
        for item in shown
    ]
    return Latencies([REQUEST_LATENCIES[name] for name in metrics], list(axes.values()), rows, len(known) - len(shown))


def _latency_row(item: Experiment, found: Distribution | None, axis: Axis, scale: Scale) -> Row | None:
    if found is None:
        return None
    names = ("p5", "p25", "p50", "p75", "p95", "p99")
    marks = {name: axis.percent(getattr(found, name) / scale.divisor) for name in names}
    quantiles = ", ".join(f"{name} {scale.value(getattr(found, name))}" for name in (*names, "largest"))
    title = f"{item.label}\n{quantiles} {scale.unit}, n = {found.n}"
    return Row(item.parts, "", scale.value(found.p50), title, marks)


def _whisker(found: Estimate, axis: Axis, scale: Scale) -> dict[str, float]:
    if found.low is None or found.high is None:
        return {}
    return {
        "low": axis.percent(found.low / scale.divisor),
        "high": axis.percent(found.high / scale.divisor),
    }

"""The figure of latencies: quantiles of each latency side by side, one row per configuration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from llenergymeasure.records.labels import Part
from llenergymeasure.records.metrics import REQUEST_LATENCIES, Metric
from llenergymeasure.results.report.experiments import Experiment
from llenergymeasure.results.report.figures.axis import Axis, linear_axis
from llenergymeasure.results.report.figures.rows import ROWS, Row
from llenergymeasure.results.report.formatting import Scale, unit_scale
from llenergymeasure.results.tables.latencies import Distribution, Latencies

MARKS = ("p5", "p25", "p50", "p75", "p95", "p99")


@dataclass(frozen=True)
class LatencyRow:
    """One configuration; `cells` has one row for each axis of the figure, None where nothing is known."""

    parts: list[Part]
    number: str
    cells: list[Row | None]


@dataclass(frozen=True)
class LatencyFigure:
    """`axes` in the order of `metrics`. `left_out` configurations are not drawn."""

    metrics: list[Metric]
    axes: list[Axis]
    rows: list[LatencyRow]
    left_out: int


def latency_figure(
    experiments: Sequence[Experiment], numbers: Mapping[str, str], latencies: Latencies
) -> LatencyFigure | None:
    """TTFT and end-to-end latency over requests, inter-token latency over gaps between tokens. None without any."""
    known = [experiment for experiment in experiments if latencies.get(experiment.experiment_id)]
    drawn = known[:ROWS]
    by_experiment = [latencies[experiment.experiment_id] for experiment in drawn]
    metrics = [name for name in REQUEST_LATENCIES if any(name in measured for measured in by_experiment)]
    if not metrics:
        return None
    scales, axes = {}, {}
    for name in metrics:
        distributions = [measured[name] for measured in by_experiment if name in measured]
        scales[name] = unit_scale("s", [distribution.p50 for distribution in distributions])
        longest = max(distribution.p99 for distribution in distributions)
        axes[name] = linear_axis(0.0, longest / scales[name].divisor, scales[name].unit, wanted=3)
    rows = [
        LatencyRow(
            experiment.parts,
            numbers[experiment.experiment_id],
            [_row(experiment, measured.get(name), axes[name], scales[name]) for name in metrics],
        )
        for experiment, measured in zip(drawn, by_experiment, strict=True)
    ]
    return LatencyFigure(
        [REQUEST_LATENCIES[name] for name in metrics], list(axes.values()), rows, len(known) - len(drawn)
    )


def _row(experiment: Experiment, distribution: Distribution | None, axis: Axis, scale: Scale) -> Row | None:
    if distribution is None:
        return None
    marks = {name: axis.percent(getattr(distribution, name) / scale.divisor) for name in MARKS}
    quantiles = ", ".join(f"{name} {scale.value(getattr(distribution, name))}" for name in (*MARKS, "largest"))
    counted = f"n = {distribution.n} of {distribution.prompts} independent prompts"
    title = f"{experiment.label}\n{quantiles} {scale.unit}, {counted}"
    return Row(experiment.parts, "", scale.value(distribution.p50), title, marks)

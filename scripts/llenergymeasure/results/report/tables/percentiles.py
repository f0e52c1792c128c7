"""Percentiles: median, 95th and 99th of each latency, with intervals over processes and over prompts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from llenergymeasure.records.metrics import REQUEST_LATENCIES
from llenergymeasure.results.report.experiments import Experiment
from llenergymeasure.results.report.formatting import Scale, unit_scale
from llenergymeasure.results.report.tables.cells import Cell, FigureRow, Head, estimate_cell, unknown_cell
from llenergymeasure.results.tables.latencies import QUOTED, Distribution, Latencies

_WORDS = {"p50": "median", "p95": "95 %", "p99": "99 %"}


@dataclass(frozen=True)
class PercentileTable:
    heads: list[Head]
    rows: list[FigureRow]


def percentile_table(
    ranked: Sequence[Experiment], numbers: Mapping[str, str], latencies: Latencies
) -> PercentileTable | None:
    """One row per configuration; None where no request was timed."""
    timed = [
        (experiment, latencies[experiment.experiment_id])
        for experiment in ranked
        if experiment.experiment_id in latencies
    ]
    metrics = [name for name in REQUEST_LATENCIES if any(name in measured for _, measured in timed)]
    if not metrics:
        return None
    scales = {
        name: unit_scale("s", [measured[name].p50 for _, measured in timed if name in measured]) for name in metrics
    }
    columns = [(name, percentile) for name in metrics for percentile in QUOTED]
    return PercentileTable(
        heads=[
            Head(
                f"{REQUEST_LATENCIES[name].label} {_WORDS[percentile]}",
                scales[name].unit,
                REQUEST_LATENCIES[name].definition,
            )
            for name, percentile in columns
        ],
        rows=[
            FigureRow(
                numbers[experiment.experiment_id],
                experiment,
                [_cell(measured.get(name), percentile, scales[name]) for name, percentile in columns],
            )
            for experiment, measured in timed
        ],
    )


def _cell(distribution: Distribution | None, percentile: str, scale: Scale) -> Cell:
    if distribution is None:
        return unknown_cell("no value was recorded")
    quoted = distribution.quoted(percentile)
    cell = estimate_cell(quoted.over_processes, scale, "", estimated=False)
    if quoted.prompts_low is None or quoted.prompts_high is None:
        return replace(cell, title=f"{cell.title}; over prompts: no interval, {distribution.prompts_ci95_reason}")
    low, high = scale.value(quoted.prompts_low), scale.value(quoted.prompts_high)
    title = f"{cell.title} over processes; {low} to {high} over prompts and processes, {quoted.prompts} prompts"
    return replace(cell, title=title, spread=f"{cell.spread}, prompts {low} to {high}")

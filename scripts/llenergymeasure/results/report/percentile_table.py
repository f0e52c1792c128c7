"""The report's table of percentiles: median, 95th and 99th of each latency, with intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from llenergymeasure.records.metrics import REQUEST_LATENCIES
from llenergymeasure.results.report.experiments import Experiment
from llenergymeasure.results.report.formatting import Scale, unit_scale
from llenergymeasure.results.report.phase_table import estimate_cell
from llenergymeasure.results.report.tables import Cell, Head
from llenergymeasure.results.tables.latencies import QUOTED, Distribution, Latencies

_WORDS = {"p50": "median", "p95": "95 %", "p99": "99 %"}


@dataclass(frozen=True)
class PercentileTable:
    heads: list[Head]
    rows: list[tuple[str, Experiment, list[Cell]]]


def percentile_table(
    ranked: Sequence[Experiment], numbers: Mapping[str, str], latencies: Latencies
) -> PercentileTable | None:
    """None where no request was timed."""
    shown = [item for item in ranked if item.experiment_id in latencies]
    metrics = [name for name in REQUEST_LATENCIES if any(name in latencies[item.experiment_id] for item in shown)]
    if not metrics:
        return None
    scales = {
        name: unit_scale("s", [found.p50 for item in shown if (found := latencies[item.experiment_id].get(name))])
        for name in metrics
    }
    return PercentileTable(
        heads=[
            Head(
                f"{REQUEST_LATENCIES[name].label} {_WORDS[quoted]}",
                scales[name].unit,
                REQUEST_LATENCIES[name].definition,
                "",
            )
            for name in metrics
            for quoted in QUOTED
        ],
        rows=[
            (
                numbers[item.experiment_id],
                item,
                [
                    _cell(latencies[item.experiment_id].get(name), quoted, scales[name])
                    for name in metrics
                    for quoted in QUOTED
                ],
            )
            for item in shown
        ],
    )


def _cell(found: Distribution | None, quoted: str, scale: Scale) -> Cell:
    if found is None:
        return Cell("unknown", None, "no value was recorded", None)
    return estimate_cell(found.quoted(quoted), scale, "", estimated=False)

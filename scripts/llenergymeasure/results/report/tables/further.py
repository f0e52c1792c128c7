"""Further figures: what the ranking has no room for, in columns that hold a figure somewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from llenergymeasure.records.metrics import METRICS
from llenergymeasure.results.report.experiments import Experiment
from llenergymeasure.results.report.formatting import Scale, choose_scale, significant
from llenergymeasure.results.report.tables.cells import Cell, FigureRow, Head, estimate_cell, unknown_cell
from llenergymeasure.results.tables.break_even import BREAK_EVEN_COLUMNS

FURTHER = (
    "energy_per_request_gpu_j",
    "energy_per_request_cpu_j",
    "energy_per_request_dram_j",
    "decode_energy_per_token_j",
    "energy_delay_product_j_s",
    "average_power_w",
    "throughput_total_tokens_per_s",
    "throughput_requests_per_s",
    "service_ttft_s",
    "service_e2e_latency_s",
    "slo_share",
    "energy_per_slo_request_j",
)
_BREAK_EVEN_HEADS = {
    "startup_break_even_requests": Head(
        "Start-up paid after",
        "requests",
        "Requests whose energy equals that of loading and compiling the model, each recorded once.",
    ),
    "reference_break_even_requests": Head(
        "Cheaper than the reference after",
        "requests",
        "Requests after which this configuration has taken less energy than the reference, loading and compiling "
        "included in both; 0 where its start-up takes no more. Unknown where a request saves nothing.",
    ),
}


@dataclass(frozen=True)
class FurtherTable:
    """slo: the limits that the study sets, in words; empty where it sets none."""

    heads: list[Head]
    rows: list[FigureRow]
    slo: str


def further_table(
    ranked: Sequence[Experiment], numbers: Mapping[str, str], slo: Mapping[str, float]
) -> FurtherTable | None:
    """One row per configuration; None where nothing was measured. slo: latency → limit in seconds"""
    metrics = [name for name in FURTHER if any(experiment.mean(name) is not None for experiment in ranked)]
    counts = [
        name for name in BREAK_EVEN_COLUMNS if any(experiment.break_even[name] is not None for experiment in ranked)
    ]
    if not metrics:
        return None
    scales = {name: choose_scale(name, [experiment.mean(name) for experiment in ranked]) for name in metrics}
    heads = [Head(METRICS[name].label, scales[name].unit, METRICS[name].definition) for name in metrics]
    return FurtherTable(
        heads=[*heads, *(_BREAK_EVEN_HEADS[name] for name in counts)],
        rows=[
            FigureRow(
                numbers[experiment.experiment_id],
                experiment,
                [
                    *(_metric_cell(experiment, name, scales[name]) for name in metrics),
                    *(_count_cell(experiment, name) for name in counts),
                ],
            )
            for experiment in ranked
        ],
        slo=", ".join(f"{METRICS[name].label} at most {significant(limit)} s" for name, limit in slo.items()),
    )


def _metric_cell(experiment: Experiment, name: str, scale: Scale) -> Cell:
    estimated = METRICS[name].energy and experiment.estimated
    return estimate_cell(experiment.estimates[name], scale, experiment.unknown.get(name, ""), estimated)


def _count_cell(experiment: Experiment, name: str) -> Cell:
    value = experiment.break_even[name]
    if value is None:
        return unknown_cell("a request saves nothing, or one of the energies is not known or not comparable")
    return Cell(significant(value), None, "", value, estimated=experiment.estimated)

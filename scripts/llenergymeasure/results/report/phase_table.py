"""The report's tables below the phases: prefill both ways, the idle baseline, and what a token costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from llenergymeasure.records.labels import Part
from llenergymeasure.records.metrics import METRICS
from llenergymeasure.results.reading.compact import CompactRecord
from llenergymeasure.results.report.experiments import Experiment, is_estimated
from llenergymeasure.results.report.figures import spelled
from llenergymeasure.results.report.formatting import Scale, percent, scale_of, unit_scale
from llenergymeasure.results.report.tables import Cell, Head
from llenergymeasure.results.statistics.estimates import Estimate
from llenergymeasure.results.tables.token_costs import TokenCosts

COLUMNS = (
    "prefill_energy_j",
    "prefill_energy_trace_j",
    "decode_energy_j",
    "energy_per_prompt_token_j",
    "net_energy_per_request_j",
    "baseline_power_w",
)


@dataclass(frozen=True)
class PhaseRow:
    """agree: in how many replicates the two ways of finding the prefill energy agree, in words"""

    number: str
    experiment: Experiment
    cells: list[Cell]
    agree: str
    share: str


@dataclass(frozen=True)
class PhaseTable:
    heads: list[Head]
    rows: list[PhaseRow]


def phase_table(
    experiments: Sequence[Experiment],
    numbers: Mapping[str, str],
    records: Mapping[str, Sequence[CompactRecord]],
) -> PhaseTable | None:
    """One row an experiment with energy; None where there is none."""
    known = [item for item in experiments if item.mean("energy_per_request_j") is not None]
    if not known:
        return None
    scales = {name: scale_of(name, [item.mean(name) for item in known]) for name in COLUMNS}
    heads = [Head(METRICS[name].label, scales[name].unit, METRICS[name].definition, "") for name in COLUMNS]
    return PhaseTable(
        heads,
        [
            PhaseRow(
                number=numbers[item.experiment_id],
                experiment=item,
                cells=[
                    estimate_cell(item.estimates[name], scales[name], item.unknown.get(name, ""), item.estimated)
                    for name in COLUMNS
                ],
                agree=_agreement(records[item.experiment_id]),
                share="unknown" if (share := item.mean("baseline_share")) is None else percent(share),
            )
            for item in known
        ],
    )


def _agreement(records: Sequence[CompactRecord]) -> str:
    compared = [record.phases_agree for record in records if record.status == "ok" and record.phases_agree is not None]
    if not compared:
        return "not compared"
    return f"{sum(compared)} of {len(compared)}"


@dataclass(frozen=True)
class CostRow:
    parts: list[Part]
    experiments: int
    source: str | None
    estimated: bool
    cells: list[Cell]
    note: str


def cost_rows(costs: Sequence[TokenCosts], parts: Mapping[str, list[Part]]) -> list[CostRow]:
    """One row a set of experiments that differ in lengths alone; `parts` names each experiment."""
    scale = unit_scale("J", [found.output_token_j.mean for found in costs])
    return [
        CostRow(
            parts=_common([parts[name] for name in found.experiments]),
            experiments=len(found.experiments),
            source=found.source,
            estimated=is_estimated(found.source),
            cells=[
                estimate_cell(value, scale, found.reason or "", is_estimated(found.source))
                for value in (found.prompt_token_j, found.output_token_j, found.request_j)
            ],
            note=_cost_note(found),
        )
        for found in costs
    ]


def cost_heads(costs: Sequence[TokenCosts]) -> list[Head]:
    scale = unit_scale("J", [found.output_token_j.mean for found in costs])
    return [
        Head("Prompt token", f"{scale.unit}/token", "What one more prompt token costs.", ""),
        Head("Output token", f"{scale.unit}/token", "What one more output token costs.", ""),
        Head("Request", f"{scale.unit}/request", "What a request costs whatever its length.", ""),
    ]


def _common(several: Sequence[list[Part]]) -> list[Part]:
    """What all of them are called by."""
    shared = [part for part in several[0] if all(part in other for other in several)]
    return shared or [("", "all configurations")]


def _cost_note(found: TokenCosts) -> str:
    if found.largest_miss is None:
        return found.reason or ""
    miss = f"farthest window {percent(found.largest_miss)} off the line"
    return miss if found.linear else f"{miss}: the cost is not a straight line of the lengths"


def estimate_cell(found: Estimate, scale: Scale, why: str, estimated: bool) -> Cell:
    """Mean ± half width; the reason where there is none."""
    if found.mean is None:
        return Cell("unknown", None, why, None)
    text, spread = scale.estimate(found)
    return Cell(text, spread, spelled(found, scale), found.mean, estimated=estimated)

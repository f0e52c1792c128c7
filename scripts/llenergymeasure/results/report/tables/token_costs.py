"""What a token costs, over configurations that differ in lengths alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from llenergymeasure.records.labels import Part
from llenergymeasure.results.report.experiments import is_estimated
from llenergymeasure.results.report.formatting import Scale, percent, unit_scale
from llenergymeasure.results.report.tables.cells import Cell, Head, estimate_cell
from llenergymeasure.results.report.truncation import shown
from llenergymeasure.results.tables.token_costs import TokenCosts


@dataclass(frozen=True)
class TokenCostRow:
    """A set of configurations. parts: what all of them have in common; note: how well the fit holds, or why none"""

    parts: list[Part]
    experiments: int
    source: str | None
    cells: list[Cell]
    note: str


@dataclass(frozen=True)
class TokenCostTable:
    heads: list[Head]
    rows: list[TokenCostRow]
    left_out: int


def token_cost_table(costs: Sequence[TokenCosts], parts: Mapping[str, list[Part]]) -> TokenCostTable | None:
    """One row per set of experiments that differ in lengths alone; None where there is no such set.

    parts: experiment_id → its name
    """
    if not costs:
        return None
    scale = unit_scale("J", [cost.output_token_j.mean for cost in costs])
    first = shown(costs)
    heads = [
        Head("Prompt token", f"{scale.unit}/token", "What one more prompt token costs."),
        Head("Output token", f"{scale.unit}/token", "What one more output token costs."),
        Head("Request", f"{scale.unit}/request", "What a request costs, whatever its length."),
    ]
    return TokenCostTable(heads, [_row(cost, parts, scale) for cost in first.rows], first.left_out)


def _row(cost: TokenCosts, parts: Mapping[str, list[Part]], scale: Scale) -> TokenCostRow:
    estimated = is_estimated(cost.source)
    return TokenCostRow(
        parts=_common_parts([parts[name] for name in cost.experiments]),
        experiments=len(cost.experiments),
        source=cost.source,
        cells=[
            estimate_cell(coefficient, scale, cost.reason or "", estimated)
            for coefficient in (cost.prompt_token_j, cost.output_token_j, cost.request_j)
        ],
        note=_describe_fit(cost),
    )


def _common_parts(names: Sequence[list[Part]]) -> list[Part]:
    common = [part for part in names[0] if all(part in name for name in names)]
    return common or [("", "all configurations")]


def _describe_fit(cost: TokenCosts) -> str:
    if cost.largest_miss is None:
        return cost.reason or ""
    miss = f"farthest window {percent(cost.largest_miss)} off the line"
    return miss if cost.linear else f"{miss}: the cost is not a linear function of the lengths"

"""What a token costs, over configurations that differ in lengths alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from llenergymeasure.records.labels import Part
from llenergymeasure.results.report.experiments import is_estimated
from llenergymeasure.results.report.formatting import Scale, percent, unit_scale
from llenergymeasure.results.report.tables.cells import Cell, Head, estimate_cell
from llenergymeasure.results.report.truncation import shown
from llenergymeasure.results.statistics.length_model import LACK_OF_FIT
from llenergymeasure.results.tables.token_costs import OUTPUT_TOKEN, TokenCosts

# Cost → title, what it is per, and what it says.
_HEADS = {
    "prompt_token": ("Prompt token", "token", "What one more prompt token costs."),
    OUTPUT_TOKEN: ("Output token", "token", "What one more output token costs, at the mean context of these windows."),
    "step": ("Step without context", "token", "What an output token costs before attention looks at any other token."),
    "context_token": ("Context", "token", "What one more token of context costs in one decode step."),
    "request": ("Request", "request", "What a request costs, whatever its length."),
}


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
    scales = {
        name: unit_scale("J", [cost.cost(name).mean for cost in costs if cost.cost(name).mean is not None])
        for name in _HEADS
    }
    first = shown(costs)
    heads = [Head(title, f"{scales[name].unit}/{per}", says) for name, (title, per, says) in _HEADS.items()]
    return TokenCostTable(heads, [_row(cost, parts, scales) for cost in first.rows], first.left_out)


def _row(cost: TokenCosts, parts: Mapping[str, list[Part]], scales: Mapping[str, Scale]) -> TokenCostRow:
    estimated = is_estimated(cost.source)
    return TokenCostRow(
        parts=_common_parts([parts[name] for name in cost.experiments]),
        experiments=len(cost.experiments),
        source=cost.source,
        cells=[
            estimate_cell(cost.cost(name), scale, cost.reason or "these lengths do not separate it", estimated)
            for name, scale in scales.items()
        ],
        note=_describe_fit(cost),
    )


def _common_parts(names: Sequence[list[Part]]) -> list[Part]:
    common = [part for part in names[0] if all(part in name for name in names)]
    return common or [("", "all configurations")]


def _describe_fit(cost: TokenCosts) -> str:
    if cost.largest_miss is None or cost.measured is None:
        return cost.reason or ""
    lengths = (
        f"for prompts of {cost.measured.prompt_low:.0f} to {cost.measured.prompt_high:.0f} and outputs of "
        f"{cost.measured.output_low:.0f} to {cost.measured.output_high:.0f} tokens, elsewhere an extrapolation; an "
        f"output token at {cost.measured.context:.0f} tokens of context"
    )
    miss = f"farthest window {percent(cost.largest_miss)} off the model"
    if cost.lack_of_fit is not None and cost.lack_of_fit < LACK_OF_FIT:
        miss += ", which its scatter does not explain"
    doubt = "" if cost.holds else ": lengths alone do not explain the energy, read the costs as averages"
    return f"{miss}{doubt}; {lengths}"

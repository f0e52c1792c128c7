"""Carbon and money in the report: one row an experiment, and what the study states for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from llenergymeasure.results.report.experiments import Experiment
from llenergymeasure.results.report.formatting import Scale
from llenergymeasure.results.report.phase_table import estimate_cell
from llenergymeasure.results.report.tables import Cell, Head
from llenergymeasure.results.tables.costs import FIGURES, estimate_of

_TITLES = {
    "emissions_kg": ("Carbon", "kg CO₂e", "Energy per output token × PUE × carbon intensity of the electricity."),
    "electricity_price": ("Electricity", "", "Energy per output token × PUE × price of a kilowatt-hour."),
    "machine_price": ("Machine", "", "Price of an hour of the machine over the output tokens of an hour."),
}


@dataclass(frozen=True)
class CostTable:
    """stated: what the figures are worked out with, in words; rows: number, experiment, cells."""

    heads: list[Head]
    rows: list[tuple[str, Experiment, list[Cell]]]
    stated: list[str]


def cost_table(costs: pd.DataFrame, ranked: Sequence[Experiment], numbers: Mapping[str, str]) -> CostTable | None:
    """None where the study states nothing, or nothing was measured."""
    found = {str(row["experiment_id"]): row for row in costs.to_dict("records")}
    if not ranked:
        return None
    first = found[ranked[0].experiment_id]
    given = {
        "emissions_kg": _given(first["grid_intensity_kg_per_kwh"]),
        "electricity_price": _given(first["electricity_price_per_kwh"]),
        "machine_price": _given(first["machine_price_per_hour"]),
    }
    shown = [figure for figure in FIGURES if given[figure] is not None]
    if not shown:
        return None
    currency = first["currency"]
    scales = {figure: Scale(1.0, f"{_TITLES[figure][1] or currency}/million output tokens") for figure in shown}
    return CostTable(
        heads=[Head(_TITLES[figure][0], scales[figure].unit, _TITLES[figure][2], "") for figure in shown],
        rows=[
            (
                numbers[item.experiment_id],
                item,
                [
                    estimate_cell(
                        estimate_of(found[item.experiment_id], figure),
                        scales[figure],
                        "the energy is unknown",
                        item.estimated and figure != "machine_price",
                    )
                    for figure in shown
                ],
            )
            for item in ranked
        ],
        stated=_stated(given, first),
    )


def _stated(given: Mapping[str, float | None], row: Mapping[Any, Any]) -> list[str]:
    texts = []
    if given["emissions_kg"] is not None:
        texts.append(f"carbon intensity {given['emissions_kg']:g} kg CO₂e/kWh ({row['grid_intensity_source']})")
    if given["electricity_price"] is not None:
        texts.append(f"electricity at {given['electricity_price']:g} {row['currency']}/kWh")
    if given["machine_price"] is not None:
        texts.append(f"the machine at {given['machine_price']:g} {row['currency']}/hour")
    if given["emissions_kg"] is not None or given["electricity_price"] is not None:
        texts.append(f"PUE {row['pue']:g}")
    return texts


def _given(value: Any) -> float | None:
    return None if pd.isna(value) else float(value)

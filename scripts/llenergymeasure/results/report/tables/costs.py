"""Carbon and money: one row per experiment, and the prices that the study states."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from llenergymeasure.results.report.experiments import Experiment
from llenergymeasure.results.report.formatting import Scale
from llenergymeasure.results.report.tables.cells import FigureRow, Head, estimate_cell
from llenergymeasure.results.tables.costs import FIGURES, cost_estimate
from llenergymeasure.results.tables.empty_cells import float_or_none

# Figure → head, unit (the study's currency where empty), and how it is computed.
_TITLES = {
    "emissions_kg": ("Carbon", "kg CO₂e", "Energy per output token × PUE × carbon intensity of the electricity."),
    "electricity_price": ("Electricity", "", "Energy per output token × PUE × price per kilowatt-hour."),
    "machine_price": ("Machine", "", "Price per hour of the machine over the output tokens per hour."),
}


@dataclass(frozen=True)
class CostTable:
    """stated: the prices that the study states, in words."""

    heads: list[Head]
    rows: list[FigureRow]
    stated: list[str]


def cost_table(costs: pd.DataFrame, ranked: Sequence[Experiment], numbers: Mapping[str, str]) -> CostTable | None:
    """None where the study states no price, or nothing was measured. costs: costs.csv"""
    rows = {str(row["experiment_id"]): row for row in costs.to_dict("records")}
    if not ranked:
        return None
    # Prices are the study's, and the same in every row.
    first = rows[ranked[0].experiment_id]
    prices = {
        "emissions_kg": float_or_none(first["grid_intensity_kg_per_kwh"]),
        "electricity_price": float_or_none(first["electricity_price_per_kwh"]),
        "machine_price": float_or_none(first["machine_price_per_hour"]),
    }
    figures = [figure for figure in FIGURES if prices[figure] is not None]
    if not figures:
        return None
    units = {figure: f"{_TITLES[figure][1] or first['currency']}/million output tokens" for figure in figures}
    return CostTable(
        heads=[Head(_TITLES[figure][0], units[figure], _TITLES[figure][2]) for figure in figures],
        rows=[
            FigureRow(
                numbers[experiment.experiment_id],
                experiment,
                [
                    estimate_cell(
                        cost_estimate(rows[experiment.experiment_id], figure),
                        Scale(1.0, units[figure]),
                        "the energy is unknown",
                        experiment.estimated and figure != "machine_price",
                    )
                    for figure in figures
                ],
            )
            for experiment in ranked
        ],
        stated=_describe_prices(prices, first),
    )


def _describe_prices(prices: Mapping[str, float | None], row: Mapping[Any, Any]) -> list[str]:
    texts = []
    if prices["emissions_kg"] is not None:
        texts.append(f"carbon intensity {prices['emissions_kg']:g} kg CO₂e/kWh ({row['grid_intensity_source']})")
    if prices["electricity_price"] is not None:
        texts.append(f"electricity at {prices['electricity_price']:g} {row['currency']}/kWh")
    if prices["machine_price"] is not None:
        texts.append(f"the machine at {prices['machine_price']:g} {row['currency']}/hour")
    if prices["emissions_kg"] is not None or prices["electricity_price"] is not None:
        texts.append(f"PUE {row['pue']:g}")
    return texts

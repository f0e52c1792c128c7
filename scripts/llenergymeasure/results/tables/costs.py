"""costs.csv: carbon and money per million output tokens, from the summary's joules and seconds."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from llenergymeasure.config import CostsConfig
from llenergymeasure.config.settings.costs import intensity_from_costs
from llenergymeasure.results.report.experiments import ENERGY, SPEED
from llenergymeasure.results.statistics.estimates import Estimate
from llenergymeasure.results.tables.empty_cells import float_or_none, text_or_none

JOULES_PER_KWH = 3.6e6
SECONDS_PER_HOUR = 3600.0
TOKENS = 1e6
FIGURES = ("emissions_kg", "electricity_price", "machine_price")
PARTS = ("", "_ci95_low", "_ci95_high")
COLUMNS = (
    "experiment_id",
    "status",
    "energy_source",
    "boundary",
    *(f"{figure}_per_million_output_tokens{part}" for figure in FIGURES for part in PARTS),
    "currency",
    "pue",
    "grid_intensity_kg_per_kwh",
    "grid_intensity_source",
    "electricity_price_per_kwh",
    "machine_price_per_hour",
)


def costs_table(summary: pd.DataFrame, costs: CostsConfig) -> pd.DataFrame:
    """One row per experiment. Empty where a figure is unknown, or the study does not state the price or intensity."""
    rows = [_row(row, costs) for row in summary.to_dict("records")]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def write_costs(summary: Path, costs: CostsConfig, path: Path) -> None:
    costs_table(pd.read_parquet(summary), costs).to_csv(path, index=False)


def cost_estimate(row: Mapping[Hashable, Any], figure: str) -> Estimate:
    """A figure of costs.csv with its interval."""
    mean, low, high = (float_or_none(row[f"{figure}_per_million_output_tokens{part}"]) for part in PARTS)
    return Estimate(0 if mean is None else 1, mean, low, high)


def _row(row: Mapping[Hashable, Any], costs: CostsConfig) -> dict[str, Any]:
    intensity = intensity_from_costs(costs)
    kwh = [_times(value, TOKENS / JOULES_PER_KWH * costs.pue) for value in _energy(row)]
    hours = [None if not value else TOKENS / value / SECONDS_PER_HOUR for value in _speed(row)]
    figures = {
        "emissions_kg": [_times(value, intensity.kg_per_kwh if intensity else None) for value in kwh],
        "electricity_price": [_times(value, costs.electricity_price_per_kwh) for value in kwh],
        "machine_price": [_times(value, costs.machine_price_per_hour) for value in hours],
    }
    return {
        "experiment_id": row["experiment_id"],
        "status": row["status"],
        "energy_source": text_or_none(row["energy_source"]),
        "boundary": text_or_none(row["boundary"]),
        **{
            f"{figure}_per_million_output_tokens{part}": value
            for figure, values in figures.items()
            for part, value in zip(PARTS, values, strict=True)
        },
        "currency": costs.currency,
        "pue": costs.pue,
        "grid_intensity_kg_per_kwh": intensity.kg_per_kwh if intensity else None,
        "grid_intensity_source": intensity.source if intensity else None,
        "electricity_price_per_kwh": costs.electricity_price_per_kwh,
        "machine_price_per_hour": costs.machine_price_per_hour,
    }


def _energy(row: Mapping[Hashable, Any]) -> tuple[float | None, float | None, float | None]:
    """J/token: mean and 95 % interval, which includes the instrument's uncertainty where that is known."""
    mean, expanded95 = float_or_none(row[f"{ENERGY}_mean"]), float_or_none(row[f"{ENERGY}_expanded95"])
    if mean is not None and expanded95 is not None:
        return mean, mean - expanded95, mean + expanded95
    return mean, float_or_none(row[f"{ENERGY}_ci95_low"]), float_or_none(row[f"{ENERGY}_ci95_high"])


def _speed(row: Mapping[Hashable, Any]) -> tuple[float | None, float | None, float | None]:
    """Tokens/s, with the bounds in the order of the times they correspond to. What is at or below 0 gives no time."""
    mean, low, high = (float_or_none(row[f"{SPEED}_{part}"]) for part in ("mean", "ci95_low", "ci95_high"))
    return mean, high, low if low is not None and low > 0 else None


def _times(value: float | None, factor: float | None) -> float | None:
    return None if value is None or factor is None else value * factor

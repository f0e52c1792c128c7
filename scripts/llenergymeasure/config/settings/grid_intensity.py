"""Carbon intensity of a country's electricity, from the table that comes with codecarbon. No network."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

_TABLE = "codecarbon/data/private_infra/global_energy_mix.json"


@dataclass(frozen=True)
class GridIntensity:
    """In kg CO₂e/kWh, and where the figure is from."""

    kg_per_kwh: float
    source: str


def country_intensity(country_iso_code: str) -> GridIntensity:
    """A country's yearly mean.

    Raises:
        LookupError: the table has no figure for it, where codecarbon itself would silently take the world's average;
            or there is no table.
    """
    table, version = _table()
    row = table.get(country_iso_code)
    if row is None or row.get("carbon_intensity") is None:
        raise LookupError(f"codecarbon {version} has no carbon intensity for {country_iso_code!r}")
    year = row.get("year", "year unknown")
    return GridIntensity(
        float(row["carbon_intensity"]) / 1e3, f"{country_iso_code}, codecarbon {version}, global energy mix, {year}"
    )


@lru_cache(maxsize=1)
def _table() -> tuple[dict[str, Any], str]:
    """Read from its file: importing codecarbon takes a second, and every Snakemake job reads the study."""
    try:
        package = distribution("codecarbon")
        text = Path(str(package.locate_file(_TABLE))).read_text(encoding="utf-8")
        return json.loads(text), package.version
    except (PackageNotFoundError, OSError, ValueError) as error:
        raise LookupError(f"codecarbon's table of countries can't be read: {type(error).__name__}: {error}") from error

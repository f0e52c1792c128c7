"""Carbon intensity of a country's electricity, from the table inside codecarbon. No network access."""

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
    """Carbon intensity in kg CO₂e/kWh, and its source."""

    kg_per_kwh: float
    source: str


def country_intensity(country_iso_code: str) -> GridIntensity:
    """A country's yearly mean.

    Raises:
        LookupError: the table has no figure for the country (codecarbon itself would silently use the world's
            average), or the table cannot be read.
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
    """Read from the file: importing codecarbon takes a second, and every Snakemake job reads the study."""
    try:
        package = distribution("codecarbon")
        text = Path(str(package.locate_file(_TABLE))).read_text(encoding="utf-8")
        return json.loads(text), package.version
    except (PackageNotFoundError, OSError, ValueError) as error:
        raise LookupError(
            f"the table of countries in codecarbon cannot be read: {type(error).__name__}: {error}"
        ) from error

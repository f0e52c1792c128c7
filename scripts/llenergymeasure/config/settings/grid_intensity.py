"""Carbon intensity of a country's electricity, from codecarbon's table. No network access, and no codecarbon.

The steps that hold no model run in an environment without codecarbon, so its figures are in a file of this package.
`make pages` writes that file again from the installed codecarbon.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

TABLE = Path(__file__).with_name("grid_intensity.csv")


@dataclass(frozen=True)
class GridIntensity:
    """Carbon intensity in kg CO₂e/kWh, and its source."""

    kg_per_kwh: float
    source: str


def country_intensity(country_iso_code: str) -> GridIntensity:
    """A country's yearly mean.

    Raises:
        LookupError: the table has no figure for the country (codecarbon itself would silently use the world's average)
    """
    table, source = _table()
    if country_iso_code not in table:
        raise LookupError(f"{source} has no carbon intensity for {country_iso_code!r}")
    g_per_kwh, year = table[country_iso_code]
    return GridIntensity(g_per_kwh / 1e3, f"{country_iso_code}, {source}, {year}")


@lru_cache(maxsize=1)
def _table() -> tuple[dict[str, tuple[float, str]], str]:
    """Country → g/kWh and year; and the source, which is the first line of the file."""
    head, *lines = TABLE.read_text(encoding="utf-8").splitlines()
    rows = csv.DictReader(lines)
    return {row["country"]: (float(row["g_per_kwh"]), row["year"]) for row in rows}, head.removeprefix("# ")

"""CO2 for a kilowatt-hour, by stated country, from the table that comes with codecarbon. No network."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

JOULES_PER_KWH = 3.6e6


@dataclass(frozen=True)
class CarbonIntensity:
    """Yearly mean of a country's electricity, in kg CO2 equivalent per kWh."""

    country_iso_code: str
    kg_per_kwh: float
    source: str

    def emissions_kg(self, energy_j: float) -> float:
        return energy_j / JOULES_PER_KWH * self.kg_per_kwh

    def to_dict(self) -> dict[str, Any]:
        return {
            "country_iso_code": self.country_iso_code,
            "kg_per_kwh": self.kg_per_kwh,
            "source": self.source,
            "reason": None,
        }


def country_intensity(country_iso_code: str) -> CarbonIntensity:
    """The intensity of a country.

    Raises:
        LookupError: the table has no figure for it (codecarbon itself would silently take the world's
        average).
    """
    from codecarbon.input import DataSource

    known = DataSource().get_global_energy_mix_data()
    row = known.get(country_iso_code)
    if row is None or row.get("carbon_intensity") is None:
        raise LookupError(
            f"costs.country_iso_code: codecarbon has no carbon intensity for {country_iso_code!r}; "
            "use a three-letter ISO 3166 code such as DEU, or leave it out"
        )
    return CarbonIntensity(
        country_iso_code,
        float(row["carbon_intensity"]) / 1e3,
        f"codecarbon {version('codecarbon')}, global energy mix, {row.get('year', 'year unknown')}",
    )

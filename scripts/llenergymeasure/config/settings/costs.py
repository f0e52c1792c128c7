"""Carbon and money: what turns joules and seconds into them, after the measurement."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from llenergymeasure.config.settings.base import Config
from llenergymeasure.config.settings.grid_intensity import GridIntensity, country_intensity


class CostsConfig(Config):
    """Worked out from the figures that are there: changing it measures nothing again. What is left out is not shown."""

    country_iso_code: Annotated[str | None, Field(pattern=r"^[A-Z]{3}$", examples=["DEU"])] = None
    """Three-letter ISO 3166 code of the country whose electricity it is: its yearly mean, from codecarbon's table."""

    grid_intensity_kg_per_kwh: Annotated[float | None, Field(ge=0.0, le=5.0)] = None
    """Carbon intensity of the electricity instead of a country's, in kg CO₂e/kWh."""

    pue: Annotated[float, Field(ge=1.0, le=5.0)] = 1.0
    """Power usage effectiveness: energy of the whole facility over that of the machines (ISO/IEC 30134-2)."""

    electricity_price_per_kwh: Annotated[float | None, Field(ge=0.0)] = None
    """Price of a kilowatt-hour, in `currency`."""

    machine_price_per_hour: Annotated[float | None, Field(ge=0.0)] = None
    """Price of an hour of the machine with all its devices, in `currency`; such as a cloud's."""

    currency: Annotated[str | None, Field(pattern=r"^[A-Z]{3}$", examples=["EUR"])] = None
    """Three-letter ISO 4217 code of the prices' currency."""


def intensity_of(costs: CostsConfig) -> GridIntensity | None:
    """Of the country or as stated; None where neither is. LookupError as `country_intensity`."""
    if costs.grid_intensity_kg_per_kwh is not None:
        return GridIntensity(costs.grid_intensity_kg_per_kwh, "as stated in the study")
    return None if costs.country_iso_code is None else country_intensity(costs.country_iso_code)

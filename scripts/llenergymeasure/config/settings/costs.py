"""Carbon and money: the rates that convert joules and seconds into them, after the measurement."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from llenergymeasure.config.settings.base import Config, InWords
from llenergymeasure.config.settings.grid_intensity import GridIntensity, country_intensity


class CostsConfig(Config):
    """Applied to the measured figures; a change does not trigger new measurements. Costs whose rate is not set are not
    shown."""

    country_iso_code: Annotated[
        str | None, Field(pattern=r"^[A-Z]{3}$", examples=["DEU"]), InWords("three capital letters")
    ] = None
    """Three-letter ISO 3166 code of the country that supplies the electricity: its yearly mean intensity, from
    codecarbon's table."""

    grid_intensity_kg_per_kwh: Annotated[float | None, Field(ge=0.0, le=5.0)] = None
    """Carbon intensity of the electricity, in place of a country's, in kg CO₂e/kWh."""

    pue: Annotated[float, Field(ge=1.0, le=5.0)] = 1.0
    """Power usage effectiveness: energy of the whole facility divided by that of the machines (ISO/IEC 30134-2)."""

    electricity_price_per_kwh: Annotated[float | None, Field(ge=0.0)] = None
    """Price per kilowatt-hour, in `currency`."""

    machine_price_per_hour: Annotated[float | None, Field(ge=0.0)] = None
    """Price per hour of the machine with all its devices, in `currency`, for example a cloud provider's."""

    currency: Annotated[
        str | None, Field(pattern=r"^[A-Z]{3}$", examples=["EUR"]), InWords("three capital letters")
    ] = None
    """Three-letter ISO 4217 code of the prices' currency."""


def intensity_from_costs(costs: CostsConfig) -> GridIntensity | None:
    """The country's or the stated intensity; None where neither is set. LookupError as in `country_intensity`."""
    if costs.grid_intensity_kg_per_kwh is not None:
        return GridIntensity(costs.grid_intensity_kg_per_kwh, "as stated in the study")
    return None if costs.country_iso_code is None else country_intensity(costs.country_iso_code)

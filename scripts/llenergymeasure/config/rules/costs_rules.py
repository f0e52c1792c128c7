"""Whether the settings under `costs` fit together."""

from __future__ import annotations

from collections.abc import Iterator

from llenergymeasure.config.problems.catalogue import COSTS_COUNTRY_UNKNOWN, COSTS_TWO_GRIDS, COSTS_WITHOUT_CURRENCY
from llenergymeasure.config.problems.problem import Problem
from llenergymeasure.config.settings.costs import CostsConfig, intensity_from_costs


def costs_problems(costs: CostsConfig) -> Iterator[Problem]:
    """What does not fit together under `costs`."""
    if costs.country_iso_code is not None and costs.grid_intensity_kg_per_kwh is not None:
        yield COSTS_TWO_GRIDS.problem(
            "costs.grid_intensity_kg_per_kwh",
            "is set together with costs.country_iso_code, which has its own intensity",
        )
    try:
        intensity_from_costs(costs)
    except LookupError as error:
        yield COSTS_COUNTRY_UNKNOWN.problem("costs.country_iso_code", f"is {costs.country_iso_code!r}: {error}")
    for name in ("electricity_price_per_kwh", "machine_price_per_hour"):
        if getattr(costs, name) is not None and costs.currency is None:
            yield COSTS_WITHOUT_CURRENCY.problem(f"costs.{name}", "is a price without a currency")

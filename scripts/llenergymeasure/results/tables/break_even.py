"""After how many requests loading and compiling a model have paid off, in energy. Point figures: a setup loads once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from llenergymeasure.results.tables.load_cost import LoadCost

BREAK_EVEN_COLUMNS = ("startup_break_even_requests", "reference_break_even_requests")


@dataclass(frozen=True)
class Spending:
    """What one experiment costs: its start-up once, and each request. Joules; None where not known.

    account: source and boundary of the requests' energy, as `comparable.energy_account` gives them
    """

    startup_j: float | None
    request_j: float | None
    account: str | None


def startup_energy_j(cost: LoadCost, account: str | None) -> float | None:
    """Loading and compiling together; None where one is unknown, or of another source or boundary than the requests."""
    parts = [cost.load] if cost.compile is None else [cost.load, cost.compile]
    energies = [part.energy_j for part in parts if part.account == account and account is not None]
    known = [energy for energy in energies if energy is not None]
    return sum(known) if len(known) == len(parts) else None


def break_even(spending: Mapping[str, Spending], reference: str | None) -> dict[str, list[float | None]]:
    """Column → its figure for each experiment, in the order of `spending`. reference: None where the study has none"""
    other = None if reference is None else spending[reference]
    figures = (
        [startup_break_even(one) for one in spending.values()],
        [None if other is None or one is other else reference_break_even(one, other) for one in spending.values()],
    )
    return dict(zip(BREAK_EVEN_COLUMNS, figures, strict=True))


def startup_break_even(one: Spending) -> float | None:
    """Requests whose energy equals that of loading and compiling."""
    if one.startup_j is None or not one.request_j or one.request_j < 0:
        return None
    return one.startup_j / one.request_j


def reference_break_even(one: Spending, reference: Spending) -> float | None:
    """Requests after which this experiment has taken less energy than the reference, both with their start-up.

    0 where it starts up with no more energy than the reference. None where a request saves nothing, or the two cannot
    be compared.
    """
    if one.account is None or one.account != reference.account:
        return None
    if one.startup_j is None or reference.startup_j is None or one.request_j is None or reference.request_j is None:
        return None
    saved_j = reference.request_j - one.request_j
    return max(0.0, one.startup_j - reference.startup_j) / saved_j if saved_j > 0 else None

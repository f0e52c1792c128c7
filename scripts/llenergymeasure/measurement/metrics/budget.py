"""The uncertainty budget of each energy figure, in the figure's own unit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from llenergymeasure.energy.uncertainty import Component

# What all windows of an experiment share, so that it scales with the difference of two of them.
SHARED = frozenset({"gain", "temperature"})


@dataclass(frozen=True)
class PowerDoubt:
    """By how much the mean power of a run is uncertain because of how warm its devices are: a standard uncertainty."""

    name: str
    standard_w: float

    def over(self, duration_s: float) -> Component:
        """Of the energy of a window of that many seconds. The bound on the temperature is a rectangle."""
        return Component(self.name, self.standard_w * duration_s, "temperature", "rectangular")


def scaled(components: Sequence[Component], divisor: float) -> list[dict[str, Any]]:
    """The budget of a figure that is an energy over a count or a time known without error (GUM 5.1.3)."""
    return [
        {
            "name": component.name,
            "standard_uncertainty": component.standard_j / divisor,
            "kind": component.kind,
            "distribution": component.distribution,
        }
        for component in components
    ]


def difference(minuend: Sequence[Component], subtrahend: Sequence[Component], share: float) -> list[Component]:
    """Budget of a difference of two windows of the same instrument, each already per request.

    What is new in each window adds in quadrature, so it is listed twice; gain and temperature are the same in both and
    scale with the difference, which is `share` of the minuend (GUM 5.2.2, correlation 1).
    """
    shared = [
        replace(component, standard_j=component.standard_j * share) for component in minuend if component.kind in SHARED
    ]
    return [component for component in (*minuend, *subtrahend) if component.kind not in SHARED] + shared

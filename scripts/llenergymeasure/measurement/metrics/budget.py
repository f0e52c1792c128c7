"""The uncertainty budget of each energy figure, in the figure's own unit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from llenergymeasure.energy.uncertainty import Component


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

    What is new in each window adds in quadrature, so it is listed twice; the gain is the same in both and scales with
    the difference, which is `share` of the minuend (GUM 5.2.2, correlation 1).
    """
    gains = [
        replace(component, standard_j=component.standard_j * share) for component in minuend if component.kind == "gain"
    ]
    return [component for component in (*minuend, *subtrahend) if component.kind != "gain"] + gains

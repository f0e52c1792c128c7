"""Standard uncertainties after the GUM (JCGM 100:2008)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Component:
    """One contribution: what it is, in words with its numbers, and its standard uncertainty in joules."""

    name: str
    standard_j: float


def rectangular(full_width: float) -> float:
    """Standard deviation of a value that may lie anywhere in an interval: its width/√12 (GUM 4.3.7)."""
    return full_width / math.sqrt(12)


def combine(components: Sequence[Component]) -> tuple[float, str]:
    """Independent contributions in quadrature (GUM 5.1.2): (standard uncertainty in joules, basis)."""
    total_j = math.hypot(*(component.standard_j for component in components))
    parts = "; ".join(f"{component.name}: {component.standard_j:.3g} J" for component in components)
    return total_j, f"{parts}; combined in quadrature, one standard deviation"

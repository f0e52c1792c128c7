"""Standard and expanded uncertainties after the GUM (JCGM 100:2008) and its Supplement 1 (JCGM 101:2008)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from statistics import NormalDist

from llenergymeasure.records.ledger import Component as Component
from llenergymeasure.records.ledger import Distribution as Distribution
from llenergymeasure.records.ledger import Kind as Kind

LEVEL = 0.95
_NORMAL = NormalDist()
# Half the density of a coverage interval is found by halving: so many steps leave 1e-12 of the first bracket.
_HALVINGS = 40


def rectangular(full_width: float) -> float:
    """Standard deviation of a value that may lie anywhere in an interval: its width/√12 (GUM 4.3.7)."""
    return full_width / math.sqrt(12)


def standard(components: Iterable[Component]) -> float:
    """Independent contributions in quadrature (GUM 5.1.2)."""
    return math.hypot(*(component.standard_j for component in components))


def expanded(components: Sequence[Component], level: float = LEVEL) -> float:
    """Half width of the symmetric interval with coverage `level` for the sum of independent contributions.

    The largest rectangular contribution is convolved exactly with a normal one for all the rest, as JCGM 101 asks where
    one contribution dominates: for ±5 % of gain alone the 95 % interval is ±4.75 %, not twice the standard
    uncertainty, which would be wider than the bound itself.
    """
    boxes = [component for component in components if component.distribution == "rectangular"]
    box = max(boxes, key=lambda component: component.standard_j, default=None)
    rest = standard(component for component in components if component is not box)
    half_width = 0.0 if box is None else box.standard_j * math.sqrt(3)
    return expanded_from_parts(half_width, rest, level)


def expanded_from_parts(box_half_width: float, normal_standard: float, level: float = LEVEL) -> float:
    """As `expanded`, for one rectangular contribution of ±`box_half_width` and one normal contribution."""
    if box_half_width == 0:
        return _NORMAL.inv_cdf((1 + level) / 2) * normal_standard
    if normal_standard < 1e-9 * box_half_width:
        return level * box_half_width
    low, high = 0.0, box_half_width + 10 * normal_standard
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if _coverage(middle, box_half_width, normal_standard) < level:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def _coverage(bound: float, half_width: float, sigma: float) -> float:
    """P(|R + N| ≤ bound) with R rectangular on ±half_width and N normal: the integral of Φ is xΦ(x) + φ(x)."""

    def integral(x: float) -> float:
        return x * _NORMAL.cdf(x) + _NORMAL.pdf(x)

    above = integral((bound + half_width) / sigma) - integral((bound - half_width) / sigma)
    below = integral((-bound + half_width) / sigma) - integral((-bound - half_width) / sigma)
    return sigma / (2 * half_width) * (above - below)


def describe_budget(components: Iterable[Component]) -> str:
    """The budget in one line of words."""
    parts = "; ".join(f"{component.name}: {component.standard_j:.3g} J" for component in components)
    return f"{parts}; combined in quadrature, one standard deviation"

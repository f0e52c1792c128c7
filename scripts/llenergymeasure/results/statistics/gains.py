"""Gains of instruments in a comparison: they cancel as far as each has the same share of both figures."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import NormalDist

from llenergymeasure.energy.uncertainty import expanded_from_parts


def uncancelled(mine: Mapping[str, float], theirs: Mapping[str, float]) -> list[float]:
    """Bounds of what the gain of each instrument can do to log(mine / theirs), largest first; empty where all cancel.

    mine, theirs: instrument → bound of its gain's relative error, times its share of the figure. To first order the
    logarithm of a figure errs by the sum over instruments of gain · share, so a gain g acts with g · (difference of
    shares). Gains of different instruments are independent.
    """
    bounds = (abs(mine.get(name, 0.0) - theirs.get(name, 0.0)) for name in mine.keys() | theirs.keys())
    return sorted((bound for bound in bounds if bound > 1e-9), reverse=True)


def widened(half_width: float, level: float, bounds: Sequence[float]) -> float:
    """Half width at `level` of a random part, whose half width at that level is given, and of bounded gains.

    The largest bound is convolved as a rectangle, and the others count as normal, with a/√3 each (JCGM 101:2008). The
    sum of the half width and of all bounds is never exceeded.
    """
    if not bounds or not math.isfinite(half_width):
        return half_width
    largest, *others = bounds
    random = half_width / NormalDist().inv_cdf((1 + level) / 2)
    normal = math.hypot(random, *(bound / math.sqrt(3) for bound in others))
    return min(expanded_from_parts(largest, normal, level), half_width + math.fsum(bounds))

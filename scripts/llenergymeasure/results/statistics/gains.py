"""Gains of instruments in a comparison: they cancel as far as each has the same share of both figures."""

from __future__ import annotations

import math
from collections.abc import Mapping
from statistics import NormalDist
from typing import NamedTuple

from llenergymeasure.energy.uncertainty import expanded_from_parts


class Gain(NamedTuple):
    """share: of a figure that an instrument has read; bound: of the relative error of its readings, constant for it"""

    share: float
    bound: float


NONE = Gain(0.0, 0.0)


def uncancelled(mine: Mapping[str, Gain], theirs: Mapping[str, Gain]) -> float:
    """Bound of what the gains of all instruments together can do to log(mine / theirs); 0 where all cancel.

    A reading is the true energy times 1 + g, with |g| up to the bound. What an instrument has read is therefore to be
    multiplied by f = 1/(1 + g), and the logarithm of a figure in which it has the share s moves by log(1 + (f - 1)·s).
    In a ratio the difference of the two remains, and its larger end is the bound; to first order it is g times the
    difference of the shares. Nothing is known of how the gains of two instruments go together, so the bounds add up
    (GUM 5.2.2: correlation 1, of the sign that is worst).
    """
    bounds = (_bound(mine.get(name, NONE), theirs.get(name, NONE)) for name in mine.keys() | theirs.keys())
    return math.fsum(bound for bound in bounds if bound > 1e-9)


def _bound(one: Gain, other: Gain) -> float:
    ends = []
    for sign in (-1, 1):
        parts = [math.log1p((1 / (1 + sign * gain.bound) - 1) * gain.share) for gain in (one, other)]
        ends.append(abs(parts[0] - parts[1]))
    return max(ends)


def widened(half_width: float, level: float, bound: float) -> float:
    """Half width at `level` of a random part, whose half width at that level is given, and of a bounded part.

    The bound is convolved as a rectangle (JCGM 101:2008).
    """
    if not bound or not math.isfinite(half_width):
        return half_width
    return expanded_from_parts(bound, half_width / NormalDist().inv_cdf((1 + level) / 2), level)

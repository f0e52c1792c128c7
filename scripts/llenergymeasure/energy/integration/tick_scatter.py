"""How much the energy of a tick scatters, and what that leaves of uncertainty on the sum of many."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from llenergymeasure.energy.integration.tick_grid import Tick, powers_w


@dataclass(frozen=True)
class Scatter:
    """Of the power between successive ticks.

    change_w: root mean square change from one step to the next
    window_j: standard deviation of the window's energy for noise and for what the sensor did not see
    """

    change_w: float
    window_j: float


def estimate_scatter(ticks: Sequence[Tick], period_s: float, seen_share: float, duration_s: float) -> Scatter | None:
    """The scatter of a window; None below four ticks.

    P is the power between ticks n periods apart, D its successive differences, v = mean(D²/(1/nᵢ + 1/nᵢ₊₁)) (von
    Neumann's estimator of the variance of one period, in which a slow course counts for nothing) and
    c = -mean(nᵢ₊₁·DᵢDᵢ₊₁). Two kinds of change leave different traces:

    - what is new in each period (noise, rapid fluctuation) gives v = c = its variance. Of it the sum over N periods T
      keeps N·T²·variance;
    - a lasting change by h, at any moment u of the step, gives differences u·h and (1-u)·h, and v - c = n·h²/2 whatever
      u. A sensor that sees the first share d of a period takes it for earlier or later than it was: the error is
      T·h·(m - u'), of variance T²·h²·(1-d)²/12 over u (its mean cancels between rises and falls).

    In v a lasting change counts (1 - f/3)·n·h²/2, f being the share of a step where a change is split in two, so the
    variance of the first kind is c + (v - c)·f/3. Fluctuations that keep step with the counter are invisible here;
    where their times are known, `step_aliasing` deals with them.
    """
    powers = powers_w(ticks)
    changes = [later - earlier for earlier, later in pairwise(powers)]
    if len(changes) < 2:
        return None
    lengths = [max(1, round((later.time_s - earlier.time_s) / period_s)) for earlier, later in pairwise(ticks)]
    squares = [
        change**2 / (1 / earlier + 1 / later)
        for change, (earlier, later) in zip(changes, pairwise(lengths), strict=True)
    ]
    products = [
        length * earlier * later for length, (earlier, later) in zip(lengths[1:-1], pairwise(changes), strict=True)
    ]
    v, c = math.fsum(squares) / len(squares), -math.fsum(products) / len(products)
    periods = math.fsum(lengths) / len(lengths)
    split = (periods - 1 + seen_share) / periods
    fresh_w2 = min(v, max(0.0, c + (v - c) * split / 3))
    lasting_w2 = max(0.0, 2 * (v - c)) / periods
    many = duration_s / period_s
    variance_j2 = many * period_s**2 * (fresh_w2 + lasting_w2 / periods * (1 - seen_share) ** 2 / 12)
    return Scatter(math.sqrt(2 * v / periods), math.sqrt(variance_j2))

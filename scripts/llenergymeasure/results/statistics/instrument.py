"""The uncertainty of a mean, instrument included: the part that replicates show, and the part that they cannot show."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from llenergymeasure.energy.uncertainty import expanded_from_parts
from llenergymeasure.records.measurement import BudgetRow
from llenergymeasure.results.statistics.columns import NORMAL_95
from llenergymeasure.results.statistics.estimates import CONFIDENCE
from llenergymeasure.results.statistics.strata.variances import critical_t


@dataclass(frozen=True)
class Instrument:
    """Standard uncertainties of a run's figure, in its unit; None where the meter states none.

    random: the part that is new in each window
    gain: the largest gain of a device, a rectangle
    other_gains: what else all runs share, independent of it: the gains of further devices, and how far the temperature
        may be from the study's
    """

    random: float | None
    gain: float | None
    other_gains: float | None


def instrument(budget: Sequence[BudgetRow]) -> Instrument:
    """From the budget of the figure; empty where the meter states none."""
    if not budget:
        return Instrument(None, None, None)
    gains = sorted(row.standard_uncertainty for row in budget if row.kind == "gain")
    warmth = [row.standard_uncertainty for row in budget if row.kind == "temperature"]
    random = math.hypot(*(row.standard_uncertainty for row in budget if row.kind not in ("gain", "temperature")))
    return Instrument(random, gains[-1] if gains else 0.0, math.hypot(*gains[:-1], *warmth))


def expanded_of_mean(
    values: Sequence[float],
    random: Sequence[float],
    gain: Sequence[float],
    other_gains: Sequence[float] = (),
    level: float = CONFIDENCE,
) -> float | None:
    """Half width of the 95 % interval of the mean of n runs, with the instrument; None where none is stated.

    The scatter between replicates, s/√n with Student's t for its n − 1 degrees of freedom, already includes the edges
    and the noise of the meter, so they are not added to it (GUM 4.3, 5.1): the larger of the two counts. Gains are the
    same in all runs and are not divided by √n. The largest is convolved as a rectangle, the others count as normal
    (JCGM 101): the sum of several rectangles is not a rectangle. A single run has none: nothing tells how runs scatter.
    """
    n = len(values)
    if n < 2 or len(random) != n or len(gain) != n:
        return None
    of_meter = math.sqrt(math.fsum(value**2 for value in random)) / n
    mean = math.fsum(values) / n
    scatter = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (n - 1) / n)
    half = max(NORMAL_95 * of_meter, critical_t(n - 1, level) * scatter)
    return expanded_with_gains(half, math.fsum(gain) / n, math.fsum(other_gains) / n)


def expanded_with_gains(half: float, gain: float, other_gains: float) -> float:
    """Half width of a 95 % interval over replicates, given as `half`, with what all runs share.

    gain, other_gains: standard uncertainties, see `Instrument`
    """
    # As the standard uncertainty of the normal distribution with the same 95 % interval.
    normal = math.hypot(half / NORMAL_95, other_gains)
    return expanded_from_parts(math.sqrt(3) * gain, normal)

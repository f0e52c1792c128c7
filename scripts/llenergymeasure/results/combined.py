"""The uncertainty of a mean with the instrument in it: what replicates show, and what they can't."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from llenergymeasure.energy.uncertainty import expanded_of
from llenergymeasure.results.groups import NORMAL_95
from llenergymeasure.results.split_plot import critical_t
from llenergymeasure.results.statistics import CONFIDENCE


def instrument(record: Mapping[str, Any], metric: str) -> tuple[float | None, float | None]:
    """(random, gain) standard uncertainties of a run's figure, in its unit; None where the meter states none."""
    budget = record["budget"].get(metric)
    if not budget:
        return None, None
    gain = math.hypot(*(row["standard_uncertainty"] for row in budget if row["kind"] == "gain"))
    return math.hypot(*(row["standard_uncertainty"] for row in budget if row["kind"] != "gain")), gain


def expanded_of_mean(
    values: Sequence[float], random: Sequence[float], gain: Sequence[float], level: float = CONFIDENCE
) -> float | None:
    """Half width of the 95 % interval of the mean of n runs, with the instrument; None where none is stated.

    The scatter between replicates, s/√n with Student's t for its n − 1 degrees of freedom, holds the edges and the
    noise of the meter already, so they are not added to it (GUM 4.3, 5.1): the larger of the two counts. The gain is
    the same in all runs, is not divided by √n, and is convolved as a rectangle (JCGM 101). A single run has no
    scatter; its interval is the instrument's alone.
    """
    n = len(values)
    if n == 0 or len(random) != n or len(gain) != n:
        return None
    of_meter = math.sqrt(math.fsum(each**2 for each in random)) / n
    mean_gain = math.fsum(gain) / n
    half = NORMAL_95 * of_meter
    if n > 1:
        mean = math.fsum(values) / n
        scatter = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (n - 1) / n)
        half = max(half, critical_t(n - 1, level) * scatter)
    # Student's half width, as the standard uncertainty of the normal distribution with the same 95 % interval.
    return expanded_of(math.sqrt(3) * mean_gain, half / NORMAL_95)

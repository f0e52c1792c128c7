"""Pauses between the passes of a window whose steps would keep step with a part-time power sensor."""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Iterable, Sequence
from itertools import pairwise

from llenergymeasure.energy.integration.sensors import PartTime
from llenergymeasure.engine.generation.generation import Generation

# So many pauses show a sensor enough phases of a step to tell its course; in all they last one step on average.
MOST_PAUSES = 16
# Steps in and before a window differ by this share, and harmonics beyond these are averaged away in what is seen.
ALIKE, HARMONICS = 0.01, (1, 2)
# A phase that moves by more turns over a window shows all of itself.
TURNS = 3.0
# A wave that its seen share averages to less than this does not matter.
LEAST_SEEN = 0.05


def rhythm_from_timeline(timeline: Sequence[Generation] | None, *, prefill_only: bool = False) -> float | None:
    """The typical time in seconds between the steps of these passes, or of a prefill; None where it is not known."""
    calls = [call for call in timeline or () if (len(call.steps_s) == 1) == prefill_only]
    if prefill_only:
        lengths_s = [call.end_s - call.start_s for call in calls]
    else:
        lengths_s = [later - earlier for call in calls for earlier, later in pairwise(call.steps_s)]
    return statistics.median(lengths_s) if lengths_s else None


def keeps_step(rhythm_s: float, window_s: float, sensor: PartTime) -> bool:
    """Whether a harmonic of the rhythm hardly moves against the sensor's periods in a window of that length."""
    for harmonic in HARMONICS:
        waves = harmonic * sensor.period_s / rhythm_s  # in one period of the sensor
        whole = max(1, round(waves))
        turns = abs(waves - whole) * window_s / sensor.period_s
        seen = math.pi * waves * sensor.seen_share
        if abs(math.sin(seen) / seen) >= LEAST_SEEN and (turns < TURNS or abs(waves / whole - 1) < ALIKE):
            return True
    return False


def draw_pauses(passes: int, rhythm_s: float | None, window_s: float, sensors: Iterable[PartTime]) -> tuple[float, ...]:
    """Seconds before each pass but the first; none where no sensor needs them.

    Each lasts 0 to 2/n of a step at random, n being their number: a step that begins at another time is seen in another
    phase, and a shift by a whole step is no shift. The same number of passes has the same pauses.
    """
    if rhythm_s is None or passes < 2 or not any(keeps_step(rhythm_s, window_s, sensor) for sensor in sensors):
        return ()
    many = min(MOST_PAUSES, passes - 1)
    draw = random.Random(passes)
    pauses_s = [0.0] * (passes - 1)
    for number in range(many):
        pauses_s[number * (passes - 1) // many] = draw.uniform(0.0, 2 * rhythm_s / many)
    return tuple(pauses_s)

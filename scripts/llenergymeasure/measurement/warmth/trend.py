"""Whether something still changes: one test, for the temperature of a device and for the latency of passes."""

from __future__ import annotations

import statistics
from collections.abc import Sequence


def line(at: Sequence[float], values: Sequence[float]) -> tuple[float, float]:
    """Slope per unit of `at`, and the value at the last of them, of the straight line of least squares.

    With a single value, or where all are at one place, the line is level.
    """
    if len(values) < 2 or at[0] == at[-1]:
        return 0.0, statistics.fmean(values)
    slope, intercept = statistics.linear_regression(at, values)
    return slope, intercept + slope * at[-1]


def last_readings(
    at_s: Sequence[float], values: Sequence[float | None], length_s: float
) -> tuple[list[float], list[float]] | None:
    """The known values of the last `length_s` seconds, and when they were read; None where there are none so long ago.

    They begin with the last reading that is that old, so that they are never of a shorter time.
    """
    known = [(time_s, value) for time_s, value in zip(at_s, values, strict=True) if value is not None]
    since_s = at_s[-1] - length_s
    first = max((place for place, (time_s, _) in enumerate(known) if time_s <= since_s), default=None)
    if first is None:
        return None
    return [time_s for time_s, _ in known[first:]], [value for _, value in known[first:]]

"""How much values vary, relative to their mean."""

from __future__ import annotations

import statistics
from collections.abc import Sequence


def coefficient_of_variation(values: Sequence[float]) -> float | None:
    """Sample standard deviation over mean; None for fewer than two values."""
    if len(values) < 2:
        return None
    return statistics.stdev(values) / statistics.fmean(values)

"""Whether a measuring order keeps its promise with the number of replicates."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator

from llenergymeasure.config.problems.catalogue import ORDER_UNBALANCED
from llenergymeasure.config.problems.problem import Problem
from llenergymeasure.config.settings.protocol import MeasurementConfig


def order_warnings(measurement: MeasurementConfig, setup_sizes: Collection[int]) -> Iterator[Problem]:
    """`setup_sizes`: how many experiments each model setup has."""
    if measurement.order != "williams" or measurement.target_relative_ci is not None:
        return
    sizes = [1] * sum(setup_sizes) if measurement.isolation == "experiment" else list(setup_sizes)
    needed = math.lcm(*(_replicates(count) for count in (len(sizes), *sizes)))
    if measurement.replicates % needed:
        yield ORDER_UNBALANCED.problem(
            "measurement.order",
            f"a Williams design over {len(sizes)} setups of {', '.join(map(str, sorted(set(sizes))))} experiments is "
            f"balanced after {needed} replicates, not after {measurement.replicates}",
            f"use replicates: {needed} or a multiple of it, or another order",
        )


def _replicates(count: int) -> int:
    """Rows of a Williams design over `count` members: one square where the count is even, two where it is odd."""
    return count if count % 2 == 0 or count == 1 else 2 * count

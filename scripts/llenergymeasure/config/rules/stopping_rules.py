"""What has to fit together for replicates that go on until the figure is precise enough."""

from __future__ import annotations

from collections.abc import Iterator

from llenergymeasure.config.problems.catalogue import STOPPING_CLASH, STOPPING_UNREAD
from llenergymeasure.config.problems.problem import Problem
from llenergymeasure.config.settings.protocol import MeasurementConfig

# Of two figures the spread is known so badly that a look at it is worth nothing.
FEWEST_REPLICATES = 3


def stopping_problems(measurement: MeasurementConfig) -> Iterator[Problem]:
    """What is wrong with `target_relative_ci` and what goes with it."""
    if measurement.target_relative_ci is None:
        for name in ("max_replicates", "budget_s"):
            if getattr(measurement, name) is not None:
                yield STOPPING_UNREAD.problem(f"measurement.{name}", "is read only with measurement.target_relative_ci")
        if "target_metric" in measurement.model_fields_set:
            yield STOPPING_UNREAD.problem(
                "measurement.target_metric", "is read only with measurement.target_relative_ci"
            )
        return
    if measurement.order == "sequential":
        yield STOPPING_CLASH.problem(
            "measurement.order",
            "sequential measures all replicates of a setup before the next, so there is no moment to look at all",
            "use another order, or a fixed number of replicates",
        )
    if measurement.replicates < FEWEST_REPLICATES:
        yield STOPPING_CLASH.problem(
            "measurement.replicates",
            f"{measurement.replicates} is too few for a first look at how replicates vary",
            f"use {FEWEST_REPLICATES} or more",
        )
    if measurement.max_replicates is not None and measurement.max_replicates <= measurement.replicates:
        yield STOPPING_CLASH.problem(
            "measurement.max_replicates",
            f"{measurement.max_replicates} is not above measurement.replicates, {measurement.replicates}",
            "raise it, or leave target_relative_ci out",
        )

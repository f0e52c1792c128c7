"""Whether the settings of a study that adds replicates until the figure is precise enough fit together."""

from __future__ import annotations

from collections.abc import Iterator

from llenergymeasure.config.problems.catalogue import STOPPING_CLASH, STOPPING_UNREAD
from llenergymeasure.config.problems.problem import Problem
from llenergymeasure.config.settings.protocol import MeasurementConfig

# From two replicates the spread is estimated so badly that an interim analysis is worth nothing.
FEWEST_REPLICATES = 3


def stopping_problems(measurement: MeasurementConfig) -> Iterator[Problem]:
    """What is wrong with `target_relative_ci` and the keys that belong to it."""
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
            "sequential measures all replicates of a model setup before the next, so no interim analysis can cover all",
            "use another order, or a fixed number of replicates",
        )
    if measurement.replicates < FEWEST_REPLICATES:
        yield STOPPING_CLASH.problem(
            "measurement.replicates",
            f"{measurement.replicates} replicates are too few for a first interim analysis of their spread",
            f"use {FEWEST_REPLICATES} or more",
        )
    if measurement.max_replicates is not None and measurement.max_replicates <= measurement.replicates:
        yield STOPPING_CLASH.problem(
            "measurement.max_replicates",
            f"{measurement.max_replicates} is not above measurement.replicates, {measurement.replicates}",
            "raise it, or remove measurement.target_relative_ci",
        )

"""The experiments of a study, as data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from llenergymeasure.config.problems.problem import Problem
from llenergymeasure.config.rules.checked import ExperimentConfig


@dataclass(frozen=True)
class Point:
    """One experiment of a study. `axes` maps each path in `Expansion.axes` to this experiment's value."""

    experiment_id: str
    setup_id: str
    config: ExperimentConfig
    axes: Mapping[str, Any]


@dataclass(frozen=True)
class Expansion:
    """All experiments, in order. `duplicates` and `skipped` hold plain data, for plan.json.

    duplicates: {experiment_id, axes} of every further point that is the same experiment
    skipped: {axes, problems} of every invalid point, with `invalid: skip`
    reference: id of the first experiment that `measurement.reference` matches; None where the study names none
    """

    experiments: list[Point] = field(default_factory=list)
    duplicates: list[dict[str, Any]] = field(default_factory=list)
    skipped: list[dict[str, Any]] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)
    axes: list[str] = field(default_factory=list)
    reference: str | None = None

    @property
    def setup_sizes(self) -> list[int]:
        """How many experiments each model setup has."""
        return list(Counter(point.setup_id for point in self.experiments).values())

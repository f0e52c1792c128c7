"""What is unknown, and why."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from llenergymeasure.records.metrics import METRICS, SUMMARY_METRICS
from llenergymeasure.results.report.experiments import Experiment
from llenergymeasure.results.tables.slo import NOT_SET


@dataclass(frozen=True)
class UnknownRow:
    """A reason, the metrics without a figure for it, and the experiments."""

    reason: str
    metrics: list[str]
    experiments: list[str]


def unknown_rows(experiments: Iterable[Experiment]) -> list[UnknownRow]:
    """Why ranked experiments lack figures, one row per reason."""
    # Dictionaries instead of sets: they keep the order.
    by_reason: dict[str, tuple[dict[str, None], dict[str, None]]] = {}
    for experiment in experiments:
        if experiment.ranked:
            for metric in SUMMARY_METRICS:
                # A study without an objective lacks nothing.
                if experiment.unknown.get(metric, NOT_SET) != NOT_SET:
                    metrics, names = by_reason.setdefault(experiment.unknown[metric], ({}, {}))
                    metrics[METRICS[metric].label] = names[experiment.label] = None
    return [UnknownRow(reason, list(metrics), list(names)) for reason, (metrics, names) in by_reason.items()]

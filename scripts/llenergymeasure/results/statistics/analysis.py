"""The figures that may be compared: by experiment and replicate; joules from one source only."""

from __future__ import annotations

from typing import Any

import pandas as pd

from llenergymeasure.records.metrics import ENERGY_METRICS
from llenergymeasure.results.reading.measured_plan import MeasuredPlan
from llenergymeasure.results.statistics.split_plot import SplitPlot, analyse


def analyse_metric(runs: pd.DataFrame, metric: str, source: str | None, level: float) -> SplitPlot:
    """The split-plot analysis of a metric over the valid runs; for an energy metric, those of one source only.

    A figure that is not positive has no logarithm. Then the whole experiment is omitted: half of its replicates do not
    represent it.
    """
    good = runs[(runs["status"] == "ok") & runs[metric].notna()]
    if metric in ENERGY_METRICS:
        pure = good.groupby("experiment_id")["energy_source"].transform("nunique") == 1
        good = good[pure & (good["energy_source"] == source)]
    smallest = good.groupby("experiment_id")[metric].transform("min")
    good = good[smallest > 0]
    values: dict[str, dict[int, float]] = {}
    for name, replicate, value in zip(good["experiment_id"], good["replicate"], good[metric], strict=True):
        values.setdefault(str(name), {})[int(replicate)] = float(value)
    return analyse(values, dict(zip(good["experiment_id"], good["session_id"], strict=True)), level)


def energy_source_of_experiment(runs: pd.DataFrame, experiment_id: str) -> str | None:
    """The one source of an experiment's energy; None where it has none or several."""
    mine = runs[(runs["experiment_id"] == experiment_id) & (runs["status"] == "ok")]
    sources: list[Any] = list(mine["energy_source"].dropna().unique())
    return sources[0] if len(sources) == 1 else None


def measured_reference(plan: MeasuredPlan) -> str | None:
    return plan.reference if plan.reference in plan.experiments else None

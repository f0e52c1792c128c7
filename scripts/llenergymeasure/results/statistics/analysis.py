"""The figures that may be compared: by experiment and replicate; joules of one source and boundary only."""

from __future__ import annotations

from typing import Any

import pandas as pd

from llenergymeasure.records.metrics import ENERGY_METRICS
from llenergymeasure.results.reading.measured_plan import MeasuredPlan
from llenergymeasure.results.statistics.comparable import energy_account
from llenergymeasure.results.statistics.split_plot import SplitPlot, analyse


def analyse_metric(runs: pd.DataFrame, metric: str, account: str | None, level: float) -> SplitPlot:
    """The split-plot analysis of a metric over the valid runs; for an energy metric, those of one account only.

    account: source and boundary, as `comparable.energy_account` gives them

    A figure that is not positive has no logarithm. Then the whole experiment is omitted: half of its replicates do not
    represent it.
    """
    good = runs[(runs["status"] == "ok") & runs[metric].notna()]
    if metric in ENERGY_METRICS:
        good = good.assign(account=energy_account(good))
        pure = good.groupby("experiment_id")["account"].transform("nunique") == 1
        good = good[pure & (good["account"] == account)]
    smallest = good.groupby("experiment_id")[metric].transform("min")
    good = good[smallest > 0]
    values: dict[str, dict[int, float]] = {}
    for name, replicate, value in zip(good["experiment_id"], good["replicate"], good[metric], strict=True):
        values.setdefault(str(name), {})[int(replicate)] = float(value)
    return analyse(values, dict(zip(good["experiment_id"], good["session_id"], strict=True)), level)


def energy_account_of_experiment(runs: pd.DataFrame, experiment_id: str) -> str | None:
    """The one source and boundary of an experiment's energy; None where it has none or several."""
    mine = runs[(runs["experiment_id"] == experiment_id) & (runs["status"] == "ok")]
    accounts: list[Any] = list(energy_account(mine).dropna().unique())
    return accounts[0] if len(accounts) == 1 else None


def measured_reference(plan: MeasuredPlan) -> str | None:
    return plan.reference if plan.reference in plan.experiments else None

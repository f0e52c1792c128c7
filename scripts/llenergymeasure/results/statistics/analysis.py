"""The figures that may be compared: by experiment and replicate; joules from one source only."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import pandas as pd

from llenergymeasure.energy.ledger import is_estimated
from llenergymeasure.records.metrics import ENERGY_METRICS
from llenergymeasure.results.reading.measured_plan import MeasuredPlan
from llenergymeasure.results.statistics.counted import counted, measured_in_blocks
from llenergymeasure.results.statistics.scatter import Scatter
from llenergymeasure.results.statistics.split_plot import SplitPlot, analyse


def analyse_metric(
    runs: pd.DataFrame, metric: str, source: str | None, level: float, with_suspects: bool = False
) -> SplitPlot:
    """The split-plot analysis of a metric over the runs that count; for an energy metric, those of one source only.

    with_suspects: suspect runs count although undisturbed ones remain

    A figure that is not positive has no logarithm. Then the whole experiment is omitted: half of its replicates do not
    represent it. Estimated joules follow from time and load, so nothing is said about how they scatter.
    """
    good = runs[counted(runs, with_suspects) & runs[metric].notna().to_numpy(bool)]
    energy = metric in ENERGY_METRICS
    if energy:
        pure = good.groupby("experiment_id")["energy_source"].transform("nunique") == 1
        good = good[pure & (good["energy_source"] == source)]
    smallest = good.groupby("experiment_id")[metric].transform("min")
    good = good[smallest > 0]
    values: dict[str, dict[int, float]] = {}
    for name, replicate, value in zip(good["experiment_id"], good["replicate"], good[metric], strict=True):
        values.setdefault(str(name), {})[int(replicate)] = float(value)
    sessions = dict(zip(good["experiment_id"], good["session_id"], strict=True))
    if energy and is_estimated(source):
        return SplitPlot(values, sessions, Scatter(None), level)
    gains = _mean_gains(good) if energy else {}
    return analyse(values, sessions, level, blocked=measured_in_blocks(runs), gains=gains)


def energy_source_of_experiment(runs: pd.DataFrame, experiment_id: str) -> str | None:
    """The one source of an experiment's energy; None where it has none or several."""
    mine = runs[(runs["experiment_id"] == experiment_id) & (runs["status"] == "ok")]
    sources: list[Any] = list(mine["energy_source"].dropna().unique())
    return sources[0] if len(sources) == 1 else None


def measured_reference(plan: MeasuredPlan) -> str | None:
    return plan.reference if plan.reference in plan.experiments else None


def _mean_gains(runs: pd.DataFrame) -> dict[str, dict[str, float]]:
    """experiment → instrument → bound of its gain times its share, mean over the experiment's runs.

    An experiment without a stated gain has none here: its meter states no uncertainty.
    """
    totals: dict[str, dict[str, float]] = {}
    counts: dict[str, int] = {}
    for name, text in zip(runs["experiment_id"], runs["energy_gains"], strict=True):
        gains = {} if pd.isna(text) else _parsed(str(text))
        own = totals.setdefault(str(name), {})
        counts[str(name)] = counts.get(str(name), 0) + 1
        for instrument, bound in gains.items():
            own[instrument] = own.get(instrument, 0.0) + bound
    return {
        name: {instrument: total / counts[name] for instrument, total in own.items()} for name, own in totals.items()
    }


@lru_cache(maxsize=4096)
def _parsed(text: str) -> Mapping[str, float]:
    return {str(instrument): float(bound) for instrument, bound in json.loads(text).items()}

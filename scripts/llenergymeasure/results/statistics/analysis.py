"""The figures that may be compared: by experiment and replicate; joules of one source and boundary only."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any

import pandas as pd

from llenergymeasure.energy.ledger import is_estimated
from llenergymeasure.records.metrics import ENERGY_METRICS
from llenergymeasure.results.reading.measured_plan import MeasuredPlan
from llenergymeasure.results.statistics.comparable import energy_account, source_from_account
from llenergymeasure.results.statistics.counted import counted, measured_in_blocks
from llenergymeasure.results.statistics.gains import Gain
from llenergymeasure.results.statistics.split_plot import SplitPlot, analyse
from llenergymeasure.results.statistics.strata.scatter import Scatter


def analyse_metric(
    runs: pd.DataFrame, metric: str, account: str | None, level: float, with_suspects: bool = False
) -> SplitPlot:
    """The split-plot analysis of a metric over the runs that count; for an energy metric, those of one account only.

    account: source and boundary, as `comparable.energy_account` gives them
    with_suspects: suspect runs count although undisturbed ones remain

    A figure that is not positive has no logarithm. Then the whole experiment is omitted: half of its replicates do not
    represent it. Estimated joules follow from time and load, so nothing is said about how they scatter.
    """
    good = runs[counted(runs, with_suspects) & runs[metric].notna().to_numpy(bool)]
    energy = metric in ENERGY_METRICS
    if energy:
        good = good.assign(account=energy_account(good))
        pure = good.groupby("experiment_id")["account"].transform("nunique") == 1
        good = good[pure & (good["account"] == account)]
    smallest = good.groupby("experiment_id")[metric].transform("min")
    good = good[smallest > 0]
    values: dict[str, dict[int, float]] = {}
    for name, replicate, value in zip(good["experiment_id"], good["replicate"], good[metric], strict=True):
        values.setdefault(str(name), {})[int(replicate)] = float(value)
    sessions = dict(zip(good["experiment_id"], good["session_id"], strict=True))
    if energy and is_estimated(source_from_account(account)):
        return SplitPlot(values, sessions, Scatter(None), level)
    gains = _mean_gains(good) if energy else {}
    return analyse(values, sessions, level, blocked=measured_in_blocks(runs), gains=gains)


def energy_account_of_experiment(runs: pd.DataFrame, experiment_id: str, with_suspects: bool = False) -> str | None:
    """The one source and boundary of the energy of the runs that count; None where there is none, or several."""
    mine = runs[(runs["experiment_id"] == experiment_id) & counted(runs, with_suspects)]
    accounts: list[Any] = list(energy_account(mine).dropna().unique())
    return accounts[0] if len(accounts) == 1 else None


def measured_reference(plan: MeasuredPlan) -> str | None:
    return plan.reference if plan.reference in plan.experiments else None


def _mean_gains(runs: pd.DataFrame) -> dict[str, dict[str, Gain]]:
    """experiment → instrument → its share, mean over the experiment's runs, and the bound of its gain.

    An experiment without a stated gain has none here: its meter states no uncertainty.
    """
    texts: dict[str, list[str | None]] = {}
    for name, text in zip(runs["experiment_id"], runs["energy_gains"], strict=True):
        texts.setdefault(str(name), []).append(None if pd.isna(text) else str(text))
    return {name: _mean_gain(tuple(mine)) for name, mine in texts.items()}


@lru_cache(maxsize=4096)
def _mean_gain(texts: tuple[str | None, ...]) -> dict[str, Gain]:
    parsed = [{} if text is None else json.loads(text) for text in texts]
    shares: dict[str, float] = {}
    bounds: dict[str, float] = {}
    for gains in parsed:
        for instrument, (share, bound) in gains.items():
            shares[instrument] = shares.get(instrument, 0.0) + share / len(parsed)
            bounds[instrument] = max(bounds.get(instrument, 0.0), bound)
    return {instrument: Gain(share, bounds[instrument]) for instrument, share in shares.items()}

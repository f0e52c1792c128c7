"""summary: one row per experiment, with intervals over replicates, column by column."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from llenergymeasure.config.settings.slo import SloConfig
from llenergymeasure.energy.ledger import is_estimated
from llenergymeasure.records.metrics import (
    CONTRACT_METRICS,
    ENERGY_METRICS,
    FURTHER_METRICS,
    HEAD_COLUMNS,
    LOAD_COLUMNS,
    PARTS,
    SUMMARY_METRICS,
    TAIL_COLUMNS,
)
from llenergymeasure.records.setup import LoadRecord
from llenergymeasure.records.study.plan import PlannedExperiment
from llenergymeasure.results.reading.measured_plan import MeasuredPlan
from llenergymeasure.results.statistics.analysis import measured_reference
from llenergymeasure.results.statistics.columns import Estimates, Groups, expanded_of_means
from llenergymeasure.results.statistics.comparable import account_from_parts, energy_account
from llenergymeasure.results.statistics.counted import counted
from llenergymeasure.results.statistics.ratios import RATIO_COLUMNS, ratio_columns
from llenergymeasure.results.statistics.strata.sums_of_squares import Floats
from llenergymeasure.results.tables.break_even import (
    BREAK_EVEN_COLUMNS,
    Spending,
    break_even,
    startup_energy_j,
)
from llenergymeasure.results.tables.load_cost import LoadCost, load_cost
from llenergymeasure.results.tables.output_match import OUTPUT_MATCH_COLUMNS, OUTPUT_MATCH_KINDS, summary_columns
from llenergymeasure.results.tables.runs import CODES_APART

DIFFERS = "differs"
# From the best to the worst.
VERDICTS = ("valid", "suspect", "invalid")
EXPANDED95_SUMMARY = tuple(metric for metric in SUMMARY_METRICS if metric in ENERGY_METRICS)


def summary_table(plan: MeasuredPlan, runs: pd.DataFrame, setups: Sequence[LoadRecord], slo: SloConfig) -> pd.DataFrame:
    """One row per experiment of the plan, in the plan's order, with the contract's columns first.

    Then: further metrics, `<metric>_n` (number of values in each mean), what loading cost, the number of warnings,
    notes on figures that are missing, and the output against the reference's.
    """
    experiments = plan.experiments
    names = list(experiments)
    # Figures of a run whose settings did not take effect belong to another experiment, so they are not averaged.
    mask = counted(runs)
    good, suspect = runs[mask], counted(runs, with_suspects=True) & ~mask
    every, valid = Groups(names, runs["experiment_id"]), Groups(names, good["experiment_id"])
    sources, _ = valid.only(good["energy_source"])
    boundaries, _ = valid.only(good["boundary"])
    _, different = valid.only(energy_account(good))
    mixed = different > 1
    level = plan.nominal_level
    guessed = np.array([is_estimated(source) for source in sources], dtype=bool)
    estimates = {metric: _estimates(valid, good, metric, mixed, guessed, level) for metric in SUMMARY_METRICS}
    statuses = [str(status) for status in _statuses(every, runs)]
    configs = [entry.config for entry in experiments.values()]
    columns: dict[str, Any] = {
        "experiment_id": _text(names),
        "setup_id": _text([entry.setup_id for entry in experiments.values()]),
        "status": _text(statuses),
        "failure_reason": _text(_reasons(names, statuses, runs)),
        "replicates": valid.count(),
        "suspect_left_out": every.count(suspect),
        "validity": _text(_worst(every, runs["validity"])),
        "validity_codes": _text(_codes(names, runs)),
        "model": _text([config["model"] for config in configs]),
        "revision": _text([config["pytorch"]["revision"] for config in configs]),
        "precision": _text([config["precision"] for config in configs]),
    }
    for path in plan.axes:
        values = [_cell(entry.axes.get(path)) for entry in experiments.values()]
        columns.setdefault(path, pd.Series(values, dtype=object))
    columns |= _figures(estimates, CONTRACT_METRICS)
    columns |= {
        "energy_source": _text(sources),
        "boundary": _text(boundaries),
        "evidence_ok": _evidence(every, runs),
        "output_digest": _text(_one_or_differs(*valid.only(good["output_digest"]))),
    }
    columns |= _figures(estimates, FURTHER_METRICS)
    columns |= {f"{metric}_n": estimates[metric].n for metric in SUMMARY_METRICS}
    columns |= {f"slo_{name}": _figure([getattr(slo, name)] * len(names)) for name in SloConfig.model_fields}
    request_j = zip(_known(estimates["energy_per_request_j"].mean), sources, boundaries, strict=True)
    columns |= _startup_columns(plan, setups, dict(zip(names, request_j, strict=True)))
    kinds: dict[str, Any] = OUTPUT_MATCH_KINDS
    columns |= {
        "warnings": every.total(runs["warnings"].to_numpy(float)).astype("int64"),
        "notes": _text(_notes(valid, estimates, different, good)),
        **{name: pd.Series(values, dtype=kinds[name]).array for name, values in _outputs(plan, valid, good).items()},
    }
    columns |= _expanded_columns(valid, good, (different == 1) & ~guessed, level)
    ratios = ratio_columns(plan, runs)
    columns |= {name: _figure([ratios[experiment_id][name] for experiment_id in names]) for name in RATIO_COLUMNS}
    table = pd.DataFrame(columns)
    return table[summary_names(plan)]


def _expanded_columns(valid: Groups, good: pd.DataFrame, stated: NDArray[np.bool_], level: float) -> dict[str, Any]:
    """stated: experiments whose joules are measured, and of one source and boundary"""
    columns = {}
    for metric in EXPANDED95_SUMMARY:
        figures, random, gain, other_gains = (_column(good, name) for name in _with_parts(metric))
        of_meter = expanded_of_means(valid, figures, random, gain, other_gains, level)
        columns[f"{metric}_expanded95"] = _figure(np.where(stated, of_meter, np.nan))
    return columns


def summary_names(plan: MeasuredPlan) -> list[str]:
    """All columns in order. A matrix over a setting that already has a column (model, precision) adds none."""
    return list(
        dict.fromkeys(
            [
                *HEAD_COLUMNS,
                *plan.axes,
                *_parts(CONTRACT_METRICS),
                *TAIL_COLUMNS,
                *_parts(FURTHER_METRICS),
                *(f"{metric}_n" for metric in SUMMARY_METRICS),
                *(f"slo_{name}" for name in SloConfig.model_fields),
                *LOAD_COLUMNS,
                *BREAK_EVEN_COLUMNS,
                "warnings",
                "notes",
                *OUTPUT_MATCH_COLUMNS,
                *(f"{metric}_expanded95" for metric in EXPANDED95_SUMMARY),
                *RATIO_COLUMNS,
            ]
        )
    )


def _estimates(
    valid: Groups,
    good: pd.DataFrame,
    metric: str,
    mixed: NDArray[np.bool_],
    guessed: NDArray[np.bool_],
    level: float,
) -> Estimates:
    """Estimates of one metric. Joules from different sources, or over different boundaries, have no mean.

    Estimated joules have no interval: they follow from time, and their scatter says nothing of their error.
    """
    values = _column(good, metric)
    if metric not in ENERGY_METRICS:
        return valid.estimates(values, level)
    values = np.where(mixed[valid.codes], np.nan, values)
    estimates = valid.estimates(values, level)
    low, high = (np.where(guessed, np.nan, bound) for bound in (estimates.low, estimates.high))
    return replace(estimates, low=low, high=high)


def _statuses(every: Groups, runs: pd.DataFrame) -> NDArray[Any]:
    """`ok` when every replicate was; otherwise the worst: invalid, failed, or partial where some gave figures."""
    counts = {name: every.count((runs["status"] == name).to_numpy(bool)) for name in ("ok", "invalid")}
    return np.select(
        [counts["invalid"] > 0, counts["ok"] == every.count(), counts["ok"] > 0], ["invalid", "ok", "partial"], "failed"
    )


def _reasons(names: Sequence[str], statuses: Sequence[str], runs: pd.DataFrame) -> list[str | None]:
    """Why not every replicate is ok: the reason of the first invalid run, or of the first failed one."""
    bad = [name for name, status in zip(names, statuses, strict=True) if status != "ok"]
    of_bad = dict(tuple(runs[runs["experiment_id"].isin(bad)].groupby("experiment_id", sort=False)))
    return [_reason(of_bad[name]) if name in of_bad else None for name in names]


def _reason(runs: pd.DataFrame) -> str | None:
    for status in ("invalid", "failed"):
        bad = runs[runs["status"] == status]
        if len(bad):
            first = bad.iloc[0]
            place = "" if status == "invalid" else f"{first['failure_stage']}: {first['failure_class']}: "
            share = "" if len(bad) == len(runs) else f"{len(bad)} of {len(runs)} replicates {status}: "
            return f"{share}{place}{first['failure_reason']}"
    return None


def _evidence(every: Groups, runs: pd.DataFrame) -> Any:
    """Whether all evidence is right; unknown where a run has none."""
    verdicts = runs["evidence_ok"]
    known = every.count(verdicts.notna().to_numpy(bool)) == every.count()
    right = every.count(verdicts.fillna(False).to_numpy(bool)) == every.count()
    return pd.arrays.BooleanArray(right, ~known)


def _outputs(plan: MeasuredPlan, valid: Groups, good: pd.DataFrame) -> dict[str, list[Any]]:
    """Over the valid replicates: identical in all, the earliest difference, the mean share and log-probability.

    A run that was compared with another reference does not count: Snakemake would measure it again.
    """
    reference = plan.reference
    mine = (good["output_match_reference"] == reference).fillna(False).to_numpy(bool)
    identical = _column(good, "output_match_identical")
    asked = mine & np.isfinite(identical)
    known, same = valid.count(asked), valid.count(asked & (identical == 1))

    def column(name: str) -> Floats:
        return np.where(mine, _column(good, name), np.nan)

    first = valid.smallest(column("output_match_first_difference"))
    return summary_columns(
        reference,
        identical=[bool(same[place] == count) if count else None for place, count in enumerate(known)],
        first_difference=[None if np.isnan(value) else int(value) for value in first],
        equal_token_share=_known(valid.moments(column("output_match_equal_token_share"))[1]),
        reference_logprob=_known(valid.moments(column("output_match_reference_logprob"))[1]),
    )


def _notes(
    valid: Groups, estimates: Mapping[str, Estimates], different: NDArray[np.int64], good: pd.DataFrame
) -> list[str | None]:
    notes: list[str | None] = [None] * valid.size
    runs = valid.count()
    for place in np.flatnonzero(different > 1):
        accounts = sorted(energy_account(good[valid.codes == place]).dropna().unique())
        notes[place] = (
            f"energy has no mean: it differs in source or boundary from replicate to replicate ({', '.join(accounts)})"
        )
    fewer = {metric: (value.n > 0) & (value.n < runs) for metric, value in estimates.items()}
    for place in np.flatnonzero(np.any(list(fewer.values()), axis=0) & (different <= 1)):
        listed = [f"{metric} from {estimates[metric].n[place]}" for metric, lacks in fewer.items() if lacks[place]]
        notes[place] = f"of {runs[place]} replicates: {', '.join(listed)}"
    return notes


def _startup_columns(
    plan: MeasuredPlan,
    setups: Sequence[LoadRecord],
    requests: Mapping[str, tuple[float | None, str | None, str | None]],
) -> dict[str, Any]:
    """What loading and compiling cost, and when it has paid off.

    requests: experiment_id → mean joules per request, their source and their boundary
    """
    costs = {record.setup_id: load_cost(record) for record in setups}
    spending = {}
    for name, (request_j, source, boundary) in requests.items():
        account = account_from_parts(source, boundary)
        startup_j = startup_energy_j(costs[plan.experiments[name].setup_id], account)
        spending[name] = Spending(startup_j, request_j, account)
    return {
        **_load_columns(plan.experiments, costs),
        **{name: _figure(values) for name, values in break_even(spending, measured_reference(plan)).items()},
    }


def _load_columns(experiments: Mapping[str, PlannedExperiment], costs: Mapping[str, LoadCost]) -> dict[str, Any]:
    by_setup = {
        setup_id: {
            **{name: value for name, value in asdict(cost).items() if name in LOAD_COLUMNS},
            "load_energy_j": cost.load.energy_j,
            "compile_energy_j": None if cost.compile is None else cost.compile.energy_j,
        }
        for setup_id, cost in costs.items()
    }
    rows = [by_setup[entry.setup_id] for entry in experiments.values()]
    return {name: _figure([row[name] for row in rows]) for name in LOAD_COLUMNS}


def _worst(every: Groups, validity: pd.Series[Any]) -> list[str | None]:
    ranks_by_verdict = {verdict: float(rank) for rank, verdict in enumerate(VERDICTS)}
    ranks = np.array([ranks_by_verdict.get(verdict, np.nan) for verdict in validity], dtype=float)
    return [None if np.isnan(rank) else VERDICTS[int(rank)] for rank in every.largest(ranks)]


def _codes(names: Sequence[str], runs: pd.DataFrame) -> list[str]:
    """The codes of all replicates' verdicts, each once."""
    codes: dict[str, dict[str, None]] = {name: {} for name in names}
    judged = runs.loc[runs["validity_codes"].fillna("") != "", ["experiment_id", "validity_codes"]]
    for name, text in judged.drop_duplicates().itertuples(index=False):
        codes[name] |= dict.fromkeys(text.split(CODES_APART))
    return [CODES_APART.join(mine) for mine in codes.values()]


def _one_or_differs(single: Sequence[str | None], different: NDArray[np.int64]) -> list[str | None]:
    return [DIFFERS if count > 1 else text for text, count in zip(single, different, strict=True)]


def _figures(estimates: Mapping[str, Estimates], metrics: Sequence[str]) -> dict[str, Any]:
    return {
        f"{metric}_{part}": _figure(values)
        for metric in metrics
        for part, values in zip(
            PARTS, (estimates[metric].mean, estimates[metric].low, estimates[metric].high), strict=True
        )
    }


def _figure(values: Any) -> Any:
    """NaN and None are unknown."""
    plain = np.array([np.nan if value is None else value for value in values], dtype=float)
    return pd.arrays.FloatingArray(plain, np.isnan(plain))


def _column(runs: pd.DataFrame, name: str) -> Floats:
    return runs[name].to_numpy(dtype=np.float64, na_value=np.nan)


def _text(values: Sequence[Any]) -> Any:
    return pd.Series(list(values), dtype="string").array


def _known(values: Floats) -> list[float | None]:
    return [None if np.isnan(value) else float(value) for value in values]


def _with_parts(metric: str) -> tuple[str, str, str, str]:
    return metric, f"{metric}_u_random", f"{metric}_u_gain", f"{metric}_u_other_gains"


def _parts(metrics: Sequence[str]) -> list[str]:
    return [f"{metric}_{part}" for metric in metrics for part in PARTS]


def _cell(value: Any) -> Any:
    """A matrix value in one cell: a mapping or a list is written as JSON."""
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else value

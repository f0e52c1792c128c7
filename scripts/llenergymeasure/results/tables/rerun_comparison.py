"""comparison.csv: a rerun against the study that it repeats, one row per experiment and metric.

results/statistics/between_studies/equivalence.py decides whether a figure is the same, different or not known. Joules
are compared between replicates of the same instruments only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from llenergymeasure.records.labels import as_text, configuration_parts
from llenergymeasure.records.metrics import CONTRACT_METRICS, ENERGY_METRICS
from llenergymeasure.records.storage.layout import Layout
from llenergymeasure.records.study.equivalence import NOT_KNOWN, Equivalence
from llenergymeasure.results.reading.errors import ResultsError
from llenergymeasure.results.reading.measured_plan import MeasuredPlan
from llenergymeasure.results.reading.read import Expected, Lines, read_plan, read_table
from llenergymeasure.results.statistics.analysis import analyse_metric
from llenergymeasure.results.statistics.between_studies.equivalence import LogRatio, judge, log_ratio
from llenergymeasure.results.statistics.comparable import account_from_parts
from llenergymeasure.results.tables.empty_cells import none_if_nan, text_or_none
from llenergymeasure.results.tables.measured_under import Facts, facts_by_experiment
from llenergymeasure.results.tables.summary import DIFFERS

SIDES = ("old", "new")
PARTS = ("mean", "ci95_low", "ci95_high")
RATIO_COLUMNS = (
    *(f"{side}_compared" for side in SIDES),
    *("ratio", "ratio_ci95_low", "ratio_ci95_high", "ratio_ci90_low", "ratio_ci90_high", "verdict"),
)
COLUMNS = (
    "rerun_of",
    "experiment_id",
    "configuration",
    "metric",
    *(f"{side}_{part}" for side in SIDES for part in ("n", *PARTS)),
    *RATIO_COLUMNS,
    "margin",
    "day_sd",
    "reason",
    *(f"{side}_{what}" for side in SIDES for what in ("status", "energy_source")),
    "output_identical",
    "order",
    "differs",
)
_READ = (
    *("experiment_id", "status", "failure_reason", "energy_source", "boundary", "output_digest", "notes"),
    *(f"{metric}_{part}" for metric in CONTRACT_METRICS for part in ("n", *PARTS)),
)
_NO_MACHINE = (
    "joules of instruments that cannot be told apart: the machine has no id of its own, as in a container, so the gain "
    "may not cancel"
)
_WORDS = {"models": "the model's files differ", "prompts": "the prompts differ"}


@dataclass(frozen=True)
class Side:
    """The old or the new study: its plan as carried out, its tables by experiment, and what it was measured with."""

    plan: MeasuredPlan
    summary: Mapping[str, Mapping[Any, Any]]
    runs: pd.DataFrame
    facts: Mapping[str, Facts]


def write_comparison(old: Path, new: Path, csv: Path, within: Equivalence) -> None:
    """Compare two results folders. ResultsError where a file of one is missing or broken."""
    comparison_table(read_side(old), read_side(new), within).to_csv(csv, index=False)


def read_side(folder: Path) -> Side:
    layout = Layout(folder)
    drawn = read_plan(layout.plan, [], [])
    present = [layout.measurements(session, number) for session, number in drawn.order]
    measurements = [path for path in present if path.exists()]
    plan = read_plan(layout.plan, measurements, layout.interim_analyses()[-1:])
    summary = read_table(layout.summary_parquet)
    unknown = [column for column in _READ if column not in summary.columns]
    if unknown:
        raise ResultsError(f"{folder}/summary.parquet lacks column {unknown[0]}; delete it and run again")
    rows = {str(row["experiment_id"]): row for row in summary.to_dict("records")}
    missing = [name for name in plan.experiments if name not in rows]
    if missing:
        raise ResultsError(f"{folder}/summary.parquet lacks experiment {missing[0]}; delete it and run again")
    return Side(plan, rows, read_table(layout.runs), facts_by_experiment(Lines(Expected.of(plan), measurements)))


def comparison_table(old: Side, new: Side, within: Equivalence) -> pd.DataFrame:
    """Empty where a figure is unknown; `reason` says why there is no ratio. Experiments in the new plan's order."""
    names = list(new.plan.experiments)
    labels = configuration_parts(new.plan)
    differences = {name: _facts(old, name).differences(_facts(new, name)) for name in names}
    rows: list[dict[str, Any]] = []
    for metric in CONTRACT_METRICS:
        reasons = {name: _why_no_ratio(old, new, name, metric, differences[name]) for name in names}
        ratios = _log_ratios(old, new, metric, [name for name in names if reasons[name] is None], within.day_sd)
        level = max(old.plan.nominal_level, new.plan.nominal_level)
        for name in names:
            ratio = ratios.get(name)
            rows.append(
                {
                    "rerun_of": old.plan.study,
                    "experiment_id": name,
                    "configuration": as_text(labels[name]),
                    "metric": metric,
                    **_figures(old, name, metric, "old"),
                    **_figures(new, name, metric, "new"),
                    **_verdict(ratio, within, len(ratios), level),
                    "margin": within.margin,
                    "day_sd": within.day_sd,
                    "reason": reasons[name] or (None if ratio else "a figure is not positive"),
                    "output_identical": _same_output(old, new, name),
                    "order": "same" if _orders(old.plan) == _orders(new.plan) else "new",
                    "differs": " ".join(differences[name]) or None,
                }
            )
    table = pd.DataFrame(rows, columns=list(COLUMNS)).astype({f"{side}_compared": "Int64" for side in SIDES})
    places = {name: place for place, name in enumerate(names)}
    return table.sort_values("experiment_id", key=lambda column: column.map(places), kind="stable", ignore_index=True)


def _verdict(ratio: LogRatio | None, within: Equivalence, experiments: int, level: float) -> dict[str, Any]:
    if ratio is None:
        return {"verdict": NOT_KNOWN}
    verdict = judge(ratio, within.margin, experiments, level)
    return {
        "old_compared": ratio.old,
        "new_compared": ratio.new,
        "ratio": verdict.ratio.value,
        "ratio_ci95_low": verdict.ratio.low,
        "ratio_ci95_high": verdict.ratio.high,
        "ratio_ci90_low": verdict.alone.low,
        "ratio_ci90_high": verdict.alone.high,
        "verdict": verdict.answer,
    }


def _orders(plan: MeasuredPlan) -> tuple[Any, ...]:
    """All that decides the order of sessions and, inside them, of experiments."""
    return plan.seed, plan.order, plan.sessions


def _log_ratios(old: Side, new: Side, metric: str, names: Sequence[str], day_sd: float) -> dict[str, LogRatio]:
    """The ratios of the experiments that may be compared. Joules are compared by source, boundary and instruments."""
    energy = metric in ENERGY_METRICS
    accounts = {name: _energy_account(new, name) if energy else None for name in names}
    level = max(old.plan.nominal_level, new.plan.nominal_level)
    analyses = {
        account: tuple(analyse_metric(side.runs, metric, account, level) for side in (old, new))
        for account in dict.fromkeys(accounts.values())
    }
    ratios = {}
    for name, account in accounts.items():
        before, after = analyses[account]
        groups = (_facts(old, name).instruments, _facts(new, name).instruments) if energy else None
        ratio = log_ratio(before, after, name, day_sd, groups)
        if ratio is not None:
            ratios[name] = ratio
    return ratios


def _why_no_ratio(old: Side, new: Side, name: str, metric: str, differences: Sequence[str]) -> str | None:
    for side, words in zip((old, new), SIDES, strict=True):
        row = side.summary.get(name)
        if row is None:
            return f"{words}: not measured"
        if pd.isna(row[f"{metric}_mean"]):
            why = text_or_none(row["failure_reason"]) or text_or_none(row["notes"])
            return f"{words}: no figure" + (f" ({why})" if why else "")
    others = [words for field, words in _WORDS.items() if field in differences]
    if others:
        return "; ".join(others)
    if metric in ENERGY_METRICS:
        before, after = (_energy_account(side, name) for side in (old, new))
        if before != after:
            return f"joules of different sources or boundaries: {before}, then {after}"
        return _why_other_instruments(_facts(old, name), _facts(new, name))
    return None


def _energy_account(side: Side, name: str) -> str | None:
    """As `comparable.energy_account`, of an experiment's row of the summary."""
    source, boundary = (text_or_none(side.summary[name][column]) for column in ("energy_source", "boundary"))
    return account_from_parts(source, boundary)


def _why_other_instruments(old: Facts, new: Facts) -> str | None:
    """None where some replicates of both have joules of the same instruments."""
    sets = [set(side.instruments.values()) for side in (old, new)]
    if (sets[0] & sets[1]) - {None}:
        return None
    if None in sets[0] | sets[1]:
        return _NO_MACHINE
    return "joules of other instruments, whose gains do not cancel"


def _figures(side: Side, name: str, metric: str, prefix: str) -> dict[str, Any]:
    row = side.summary.get(name)
    if row is None:
        return {}
    return {
        f"{prefix}_n": int(row[f"{metric}_n"]),
        **{f"{prefix}_{part}": none_if_nan(row[f"{metric}_{part}"]) for part in PARTS},
        f"{prefix}_status": row["status"],
        f"{prefix}_energy_source": text_or_none(row["energy_source"]),
    }


def _same_output(old: Side, new: Side, name: str) -> bool | None:
    """Whether the first pass put out the same tokens in all replicates of both; None where one has no output."""
    digests = [
        text_or_none(side.summary[name]["output_digest"]) if name in side.summary else None for side in (old, new)
    ]
    if None in digests:
        return None
    return digests[0] == digests[1] != DIFFERS


def _facts(side: Side, name: str) -> Facts:
    return side.facts.get(name, Facts())

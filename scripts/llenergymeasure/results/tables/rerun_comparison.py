"""comparison.csv: a rerun against the study that it repeats, one row per experiment and metric.

Replicates of the two are independent, so the ratio new over old is a difference of means on logarithms (Welch 1947,
Biometrika 34): each side with the variance of one figure from its own split-plot analysis, degrees of freedom by
Welch and Satterthwaite. The intervals hold for all experiments of a metric at once (Šidák 1967, JASA 62).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from llenergymeasure.records.labels import as_text, configuration_parts
from llenergymeasure.records.metrics import CONTRACT_METRICS, ENERGY_METRICS
from llenergymeasure.records.storage.layout import Layout
from llenergymeasure.results.reading.errors import ResultsError
from llenergymeasure.results.reading.measured_plan import MeasuredPlan
from llenergymeasure.results.reading.read import Expected, Lines, read_plan, read_table
from llenergymeasure.results.statistics.analysis import analyse_metric
from llenergymeasure.results.statistics.comparable import account_from_parts
from llenergymeasure.results.statistics.estimates import Ratio
from llenergymeasure.results.statistics.split_plot import SplitPlot
from llenergymeasure.results.statistics.variances import critical_t
from llenergymeasure.results.tables.empty_cells import none_if_nan, text_or_none
from llenergymeasure.results.tables.measured_under import Facts, facts_by_experiment
from llenergymeasure.results.tables.summary import DIFFERS

SIDES = ("old", "new")
PARTS = ("mean", "ci95_low", "ci95_high")
COLUMNS = (
    "rerun_of",
    "experiment_id",
    "configuration",
    "metric",
    *(f"{side}_{part}" for side in SIDES for part in ("n", *PARTS)),
    "ratio",
    "ratio_ci95_low",
    "ratio_ci95_high",
    "distinguishable",
    "reason",
    *(f"{side}_{what}" for side in SIDES for what in ("status", "energy_source")),
    "output_identical",
    "differs",
)
_READ = (
    *("experiment_id", "status", "failure_reason", "energy_source", "boundary", "output_digest", "notes"),
    *(f"{metric}_{part}" for metric in CONTRACT_METRICS for part in ("n", *PARTS)),
)
_WORDS = {"models": "the model's files differ", "prompts": "the prompts differ"}


@dataclass(frozen=True)
class Side:
    """The old or the new study: its plan as carried out, its tables by experiment, and what it was measured with."""

    plan: MeasuredPlan
    summary: Mapping[str, Mapping[Any, Any]]
    runs: pd.DataFrame
    facts: Mapping[str, Facts]


def write_comparison(old: Path, new: Path, csv: Path) -> None:
    """Compare two results folders. ResultsError where a file of one is missing or broken."""
    comparison_table(read_side(old), read_side(new)).to_csv(csv, index=False)


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


def comparison_table(old: Side, new: Side) -> pd.DataFrame:
    """Empty where a figure is unknown; `reason` says why there is no ratio. Experiments in the new plan's order."""
    names = list(new.plan.experiments)
    labels = configuration_parts(new.plan)
    differences = {name: _facts(old, name).differences(_facts(new, name)) for name in names}
    rows: list[dict[str, Any]] = []
    for metric in CONTRACT_METRICS:
        reasons = {name: _why_no_ratio(old, new, name, metric, differences[name]) for name in names}
        ratios = _ratios(old, new, metric, [name for name in names if reasons[name] is None])
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
                    "ratio": ratio and ratio.value,
                    "ratio_ci95_low": ratio and ratio.low,
                    "ratio_ci95_high": ratio and ratio.high,
                    "distinguishable": ratio and ratio.distinguishable,
                    "reason": reasons[name] or (None if ratio else "a figure is not positive"),
                    "output_identical": _same_output(old, new, name),
                    "differs": " ".join(differences[name]) or None,
                }
            )
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    places = {name: place for place, name in enumerate(names)}
    return table.sort_values("experiment_id", key=lambda column: column.map(places), kind="stable", ignore_index=True)


def rerun_ratio(old: SplitPlot, new: SplitPlot, name: str, level: float) -> Ratio:
    """New over old, with the interval at `level`. No interval where one side has a single replicate."""
    mine, theirs = list(new.values[name].values()), list(old.values[name].values())
    value = math.fsum(map(math.log, mine)) / len(mine) - math.fsum(map(math.log, theirs)) / len(theirs)
    if old.variances is None or new.variances is None:
        return Ratio(math.exp(value), None, None)
    parts = []
    for analysis, count in ((new, len(mine)), (old, len(theirs))):
        assert analysis.variances is not None
        variance, df = analysis.variances.of_one()
        parts.append((variance / count, df))
    variance = math.fsum(part for part, _ in parts)
    spread = math.fsum(part**2 / df for part, df in parts)
    if spread == 0:
        return Ratio(math.exp(value), math.exp(value), math.exp(value))
    half = critical_t(variance**2 / spread, level) * math.sqrt(variance)
    return Ratio(math.exp(value), math.exp(value - half), math.exp(value + half))


def _ratios(old: Side, new: Side, metric: str, names: Sequence[str]) -> dict[str, Ratio]:
    """The ratios of the experiments that may be compared. Joules are compared by source and boundary."""
    accounts = {name: _energy_account(new, name) if metric in ENERGY_METRICS else None for name in names}
    level = max(old.plan.nominal_level, new.plan.nominal_level)
    analyses = {
        account: tuple(analyse_metric(side.runs, metric, account, level) for side in (old, new))
        for account in dict.fromkeys(accounts.values())
    }
    chosen = {name: analyses[account] for name, account in accounts.items()}
    known = {name: both for name, both in chosen.items() if all(name in one.values for one in both)}
    single_level = level ** (1 / max(1, len(known)))
    return {name: rerun_ratio(before, after, name, single_level) for name, (before, after) in known.items()}


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
        if "devices" in differences:
            return "joules of different devices: the gain of their meters does not cancel"
    return None


def _energy_account(side: Side, name: str) -> str | None:
    """As `comparable.energy_account`, of an experiment's row of the summary."""
    source, boundary = (text_or_none(side.summary[name][column]) for column in ("energy_source", "boundary"))
    return account_from_parts(source, boundary)


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

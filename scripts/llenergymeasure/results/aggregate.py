"""runs: one row an experiment and replicate. summary: one row an experiment, with intervals over replicates."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from llenergymeasure.results.combined import instrument, u95_of
from llenergymeasure.results.comparison import ANSWER_COLUMNS, ANSWER_KINDS, run_columns
from llenergymeasure.results.comparison import summary_columns as answer_summary
from llenergymeasure.results.load_cost import load_cost
from llenergymeasure.results.ratios import RATIO_COLUMNS, ratio_columns
from llenergymeasure.results.records import (
    CONTRACT_METRICS,
    ENERGY_METRICS,
    FURTHER_METRICS,
    HEAD_COLUMNS,
    LOAD_COLUMNS,
    METRICS,
    PARTS,
    SUMMARY_METRICS,
    TAIL_COLUMNS,
    U95_METRICS,
)
from llenergymeasure.results.statistics import Estimate, estimate

DIFFERS = "differs"
# From the best to the worst.
VERDICTS = ("valid", "suspect", "invalid")
U95_SUMMARY = tuple(metric for metric in SUMMARY_METRICS if metric in U95_METRICS)
_RUN_TEXTS = ("validity", "failure_stage", "failure_class", "failure_reason", "log", "energy_source", "output_digest")


def runs_table(records: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """One row a record: identity, status, why it is not ok, energy source, every metric (null where unknown)."""
    rows = []
    for record in records:
        failure = record["failure"] or {}
        rows.append(
            {
                "experiment_id": record["experiment_id"],
                "load_id": record["load_id"],
                "batch_id": record["batch_id"],
                "replicate": record["replicate"],
                "status": record["status"],
                "failure_stage": failure.get("stage"),
                "failure_class": failure.get("class"),
                "failure_reason": why_invalid(record) if record["status"] == "invalid" else failure.get("reason"),
                "log": failure.get("log"),
                "energy_source": record["energy_source"],
                "evidence_ok": _evidence_ok(record),
                "output_digest": record["output_digest"],
                "warnings": len(record["warnings"]),
                "validity": None if record["validity"] is None else record["validity"]["verdict"],
                **_instrument(record),
                **{name: _number(record["metrics"].get(name)) for name in METRICS},
                **run_columns(record),
            }
        )
    floats = [*METRICS, *(f"{metric}_u_{part}" for metric in U95_METRICS for part in ("random", "gain"))]
    kinds = {**dict.fromkeys(_RUN_TEXTS, "string"), **dict.fromkeys(floats, "Float64"), "evidence_ok": "boolean"}
    return pd.DataFrame(rows).astype({**kinds, **ANSWER_KINDS})


def summary_table(plan: Mapping[str, Any], runs: pd.DataFrame, loads: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """One row an experiment of the plan, in the plan's order, with the contract's columns first.

    Behind them: further metrics, `<metric>_n` (values each mean is over), what the load cost, the number of
    warnings, notes on figures that are missing, and the answer against the reference's.
    """
    by_experiment = dict(tuple(runs.groupby("experiment_id", sort=False)))
    costs = {record["load_id"]: _load_columns(record) for record in loads}
    ratios = ratio_columns(plan, runs)
    rows = [
        {
            **_summary_row(name, entry, by_experiment[name], plan["nominal_level"]),
            **costs[entry["load_id"]],
            **answer_summary(_good(by_experiment[name]), plan.get("reference")),
            **ratios[name],
        }
        for name, entry in plan["experiments"].items()
    ]
    columns = summary_columns(plan)
    # Objects first: pandas would make floats of a column of whole numbers that has a gap.
    table = pd.DataFrame({name: pd.Series([row[name] for row in rows], dtype=object) for name in columns})
    figures = [name for name in columns if name.endswith((*PARTS, "_u95")) or name in (*LOAD_COLUMNS, *RATIO_COLUMNS)]
    counts = ["replicates", "warnings", *(f"{metric}_n" for metric in SUMMARY_METRICS)]
    texts = [
        name
        for name in (*HEAD_COLUMNS, *TAIL_COLUMNS, "notes", "validity")
        if name not in ("replicates", "evidence_ok")
    ]
    return table.astype(
        {
            **dict.fromkeys(figures, "Float64"),
            **dict.fromkeys(counts, "int64"),
            **dict.fromkeys(texts, "string"),
            "evidence_ok": "boolean",
            **ANSWER_KINDS,
        }
    )


def summary_columns(plan: Mapping[str, Any]) -> list[str]:
    """All columns in order. A matrix over a setting that has a column anyway (model, precision) adds none."""
    return list(
        dict.fromkeys(
            [
                *HEAD_COLUMNS,
                *plan["axes"],
                *_parts(CONTRACT_METRICS),
                *TAIL_COLUMNS,
                *_parts(FURTHER_METRICS),
                *(f"{metric}_n" for metric in SUMMARY_METRICS),
                *LOAD_COLUMNS,
                "warnings",
                "notes",
                *ANSWER_COLUMNS,
                "validity",
                *(f"{metric}_u95" for metric in U95_SUMMARY),
                *RATIO_COLUMNS,
            ]
        )
    )


def write_tables(
    plan: Mapping[str, Any],
    records: Sequence[Mapping[str, Any]],
    loads: Sequence[Mapping[str, Any]],
    *,
    csv: Path,
    parquet: Path,
    runs: Path,
) -> None:
    """Write summary.csv, summary.parquet and runs.parquet. An empty cell is an unknown value, never 0."""
    table = runs_table(records)
    summary = summary_table(plan, table, loads)
    table.to_parquet(runs, index=False)
    summary.to_csv(csv, index=False)
    free = [path for path in plan["axes"] if path not in HEAD_COLUMNS]
    summary.assign(**{path: _of_one_kind(summary[path]) for path in free}).to_parquet(parquet, index=False)


def why_invalid(record: Mapping[str, Any]) -> str:
    """Which settings did not take effect, with what was seen instead; or what else makes the run another one."""
    ignored = [
        f"{path} = {show(entry['requested'])} did not take effect ({entry['observed']})"
        for path, entry in record["evidence"].items()
        if entry["verdict"] == "ignored"
    ]
    others = [
        reason["message"]
        for reason in record["validity"]["reasons"]
        if reason["severity"] == "invalid" and reason["code"] != "setting-ignored"
    ]
    return "; ".join([*ignored, *others])


def show(value: Any) -> str:
    """A setting's value the way a study file writes it."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _summary_row(name: str, entry: Mapping[str, Any], runs: pd.DataFrame, level: float) -> dict[str, Any]:
    config = entry["config"]
    good = _good(runs)
    sources = sorted(good["energy_source"].dropna().unique())
    found = {metric: _estimate(metric, good, sources, level) for metric in SUMMARY_METRICS}
    return {
        **{path: _cell(value) for path, value in entry["axes"].items()},
        "experiment_id": name,
        "load_id": entry["load_id"],
        "status": _status(runs["status"].tolist()),
        "failure_reason": _reason(runs),
        "replicates": len(good),
        "model": config["model"],
        "revision": config["pytorch"]["revision"],
        "precision": config["precision"],
        **{f"{metric}_mean": value.mean for metric, value in found.items()},
        **{f"{metric}_ci95_low": value.low for metric, value in found.items()},
        **{f"{metric}_ci95_high": value.high for metric, value in found.items()},
        **{f"{metric}_n": value.n for metric, value in found.items()},
        "energy_source": sources[0] if len(sources) == 1 else None,
        "evidence_ok": bool(runs["evidence_ok"].all()) if runs["evidence_ok"].notna().all() else None,
        "output_digest": _one_or_differs(good["output_digest"].dropna().unique().tolist()),
        "warnings": int(runs["warnings"].sum()),
        "validity": _worst(runs["validity"].dropna().tolist()),
        **{f"{metric}_u95": u95_of(good, metric, level) if len(sources) == 1 else None for metric in U95_SUMMARY},
        "notes": _notes(good, found, sources),
    }


def _good(runs: pd.DataFrame) -> pd.DataFrame:
    """Figures of a run whose settings did not take effect belong to another experiment, so they are not averaged."""
    return runs[runs["status"] == "ok"]


def _estimate(metric: str, good: pd.DataFrame, sources: Sequence[str], level: float) -> Estimate:
    if metric in ENERGY_METRICS and len(sources) > 1:
        return estimate([])
    return estimate((None if pd.isna(value) else value for value in good[metric]), level)


def _status(statuses: Sequence[str]) -> str:
    """`ok` when every replicate was; else the worst: invalid, failed, or partial where some gave figures."""
    if "invalid" in statuses:
        return "invalid"
    if all(status == "ok" for status in statuses):
        return "ok"
    return "partial" if "ok" in statuses else "failed"


def _reason(runs: pd.DataFrame) -> str | None:
    """Why not every replicate is ok: the first of its invalid runs, or the first of its failed ones."""
    for status in ("invalid", "failed"):
        bad = runs[runs["status"] == status]
        if len(bad):
            first = bad.iloc[0]
            place = "" if status == "invalid" else f"{first['failure_stage']}: {first['failure_class']}: "
            share = "" if len(bad) == len(runs) else f"{len(bad)} of {len(runs)} replicates {status}: "
            return f"{share}{place}{first['failure_reason']}"
    return None


def _notes(good: pd.DataFrame, found: Mapping[str, Estimate], sources: Sequence[str]) -> str | None:
    if len(sources) > 1:
        return f"energy has no mean: it comes from different sources in different replicates ({', '.join(sources)})"
    fewer = [f"{metric} from {value.n}" for metric, value in found.items() if 0 < value.n < len(good)]
    return f"of {len(good)} replicates: {', '.join(fewer)}" if fewer else None


def _load_columns(record: Mapping[str, Any]) -> dict[str, Any]:
    cost = load_cost(record)
    return {
        **{name: value for name, value in asdict(cost).items() if name in LOAD_COLUMNS},
        "load_energy_j": cost.load.energy_j,
        "compile_energy_j": None if cost.compile is None else cost.compile.energy_j,
    }


def _parts(metrics: Sequence[str]) -> list[str]:
    return [f"{metric}_{part}" for metric in metrics for part in PARTS]


def _instrument(record: Mapping[str, Any]) -> dict[str, float | None]:
    """Standard uncertainties of a run's energy figures: what is new in each window, and the gain that all share."""
    found = {metric: instrument(record, metric) for metric in U95_METRICS}
    return {
        f"{metric}_u_{part}": value
        for metric, both in found.items()
        for part, value in zip(("random", "gain"), both, strict=True)
    }


def _worst(verdicts: Sequence[str]) -> str | None:
    return max(verdicts, key=VERDICTS.index, default=None)


def _evidence_ok(record: Mapping[str, Any]) -> bool | None:
    if not record["evidence"]:
        return None
    return all(entry["verdict"] != "ignored" for entry in record["evidence"].values())


def _one_or_differs(digests: Sequence[str]) -> str | None:
    if not digests:
        return None
    return digests[0] if len(digests) == 1 else DIFFERS


def _number(value: Any) -> float | None:
    return None if value is None else float(value)


def _cell(value: Any) -> Any:
    """A matrix value in one cell: a mapping or a list is written as JSON."""
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else value


def _of_one_kind(column: pd.Series[Any]) -> pd.Series[Any]:
    """Parquet wants one kind a column; a matrix may hold a number here and a word there, and is text then."""
    kinds = {type(value) for value in column if value is not None}
    if kinds <= {bool}:
        return column.astype("boolean")
    if kinds <= {int}:
        return column.astype("Int64")
    if kinds <= {int, float}:
        return column.astype("Float64")
    return column.map(lambda value: None if value is None else show(value)).astype("string")

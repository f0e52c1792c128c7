"""runs: one row an experiment and replicate. summary: one row an experiment, with intervals over replicates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from llenergymeasure.results.records import (
    CONTRACT_METRICS,
    ENERGY_METRICS,
    FURTHER_METRICS,
    HEAD_COLUMNS,
    METRICS,
    PARTS,
    TAIL_COLUMNS,
)
from llenergymeasure.results.statistics import estimate

DIFFERS = "differs"


def runs_table(records: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """One row a record: identity, status, failure, energy source, every metric (null where unknown)."""
    rows = []
    for record in records:
        failure = record["failure"] or {}
        metrics = record["metrics"]
        rows.append(
            {
                "experiment_id": record["experiment_id"],
                "load_id": record["load_id"],
                "batch_id": record["batch_id"],
                "replicate": record["replicate"],
                "status": record["status"],
                "failure_stage": failure.get("stage"),
                "failure_class": failure.get("class"),
                "failure_reason": failure.get("reason"),
                "log": failure.get("log"),
                "energy_source": record["energy_source"],
                "evidence_ok": _evidence_ok(record),
                "output_digest": record["output_digest"],
                "warnings": len(record["warnings"]),
                **{name: _number(metrics.get(name)) for name in METRICS},
            }
        )
    texts = ("failure_stage", "failure_class", "failure_reason", "log", "energy_source", "output_digest")
    kinds = {**dict.fromkeys(texts, "string"), **dict.fromkeys(METRICS, "Float64"), "evidence_ok": "boolean"}
    return pd.DataFrame(rows).astype(kinds)


def summary_table(plan: Mapping[str, Any], runs: pd.DataFrame) -> pd.DataFrame:
    """One row an experiment of the plan, in the plan's order, with the contract's columns first."""
    by_experiment = dict(tuple(runs.groupby("experiment_id", sort=False)))
    rows = [_summary_row(name, entry, by_experiment[name]) for name, entry in plan["experiments"].items()]
    columns = [
        *HEAD_COLUMNS,
        *plan["axes"],
        *(f"{metric}_{part}" for metric in CONTRACT_METRICS for part in PARTS),
        *TAIL_COLUMNS,
        *(f"{metric}_{part}" for metric in FURTHER_METRICS for part in PARTS),
        "warnings",
    ]
    figures = [name for name in columns if name.endswith(PARTS)]
    return pd.DataFrame(rows)[list(dict.fromkeys(columns))].astype(dict.fromkeys(figures, "Float64"))


def write_tables(plan: Mapping[str, Any], records: Sequence[Mapping[str, Any]], *, csv: Path, parquet: Path, runs: Path) -> None:
    """Write summary.csv, summary.parquet and runs.parquet. An empty cell is an unknown value."""
    table = runs_table(records)
    summary = summary_table(plan, table)
    table.to_parquet(runs, index=False)
    summary.to_csv(csv, index=False, float_format="%.17g")
    # A matrix value may be a number here and a word there; parquet wants one kind a column.
    summary.assign(**{path: summary[path].map(_text).astype("string") for path in plan["axes"]}).to_parquet(
        parquet, index=False
    )


def _summary_row(name: str, entry: Mapping[str, Any], runs: pd.DataFrame) -> dict[str, Any]:
    config = entry["config"]
    status = _status(runs["status"].tolist())
    # Figures of a run whose settings did not take effect belong to another experiment, so they are not averaged.
    good = runs[runs["status"] == "ok"]
    sources = sorted(good["energy_source"].dropna().unique())
    row: dict[str, Any] = {
        "experiment_id": name,
        "load_id": entry["load_id"],
        "status": status,
        "failure_reason": _reason(runs, sources),
        "replicates": len(good),
        "model": config["model"],
        "revision": config["pytorch"]["revision"],
        "precision": config["precision"],
        **entry["axes"],
        "energy_source": sources[0] if len(sources) == 1 else None,
        "evidence_ok": bool(runs["evidence_ok"].all()) if runs["evidence_ok"].notna().all() else None,
        "output_digest": _one_or_differs(good["output_digest"].dropna().unique().tolist()),
        "warnings": int(runs["warnings"].sum()),
    }
    for metric in (*CONTRACT_METRICS, *FURTHER_METRICS):
        mixed = metric in ENERGY_METRICS and len(sources) > 1
        found = estimate([] if mixed else [None if pd.isna(value) else value for value in good[metric]])
        row.update(zip((f"{metric}_{part}" for part in PARTS), (found.mean, found.low, found.high), strict=True))
    return row


def _status(statuses: Sequence[str]) -> str:
    """`ok` when every replicate was; else the worst: invalid, failed, or partial where some gave figures."""
    if "invalid" in statuses:
        return "invalid"
    if all(status == "ok" for status in statuses):
        return "ok"
    return "partial" if "ok" in statuses else "failed"


def _reason(runs: pd.DataFrame, sources: Sequence[str]) -> str | None:
    failed = runs[runs["status"] == "failed"]
    if len(failed):
        first = failed.iloc[0]
        return f"{first['failure_stage']}: {first['failure_class']}: {first['failure_reason']}"
    if (runs["status"] == "invalid").any():
        return "a setting did not take effect, or code was compiled while the window was open; see the evidence"
    if len(sources) > 1:
        return f"energy comes from different sources ({', '.join(sources)}), so it has no mean"
    return None


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


def _text(value: Any) -> str | None:
    return None if value is None or value != value else str(value)

"""The answer in five lines, for the end of a run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

SPEED = "throughput_output_tokens_per_s"
ENERGY = "energy_per_output_token_j"


def five_lines(plan: Mapping[str, Any], summary: pd.DataFrame, report: Path) -> str:
    """Study, best by energy, best by speed, failures and warnings, where the report is."""
    good = summary[summary["status"].isin(["ok", "partial"])]
    bad = summary[~summary["status"].isin(["ok", "partial"])]
    return "\n".join(
        [
            f"{plan['study']}: {len(summary)} experiments, {len(good)} measured in {plan['replicates']} replicates, "
            f"{int((summary['status'] == 'failed').sum())} failed, {int((summary['status'] == 'invalid').sum())} invalid",
            f"best by energy: {_best_by_energy(plan, good)}",
            f"best by speed:  {_best(plan, good, SPEED, 'output tokens/s', largest=True)}",
            f"failures:       {_failures(plan, bad, int(summary['warnings'].sum()))}",
            f"report:         {report}",
            "",
        ]
    )


def label(plan: Mapping[str, Any], experiment_id: str) -> str:
    """The matrix values of an experiment by the last part of their path, or its id where there is no matrix."""
    axes = plan["experiments"][experiment_id]["axes"]
    return " ".join(f"{path.rsplit('.', 1)[-1]}={value}" for path, value in axes.items() if value is not None) or experiment_id


def _best_by_energy(plan: Mapping[str, Any], good: pd.DataFrame) -> str:
    known = good[good[f"{ENERGY}_mean"].notna()]
    sources = sorted(known["energy_source"].dropna().unique())
    if not sources:
        return "unknown, no meter gave a figure"
    # Measured and estimated joules are never compared with each other.
    return "; ".join(
        f"{_best(plan, known[known['energy_source'] == source], ENERGY, 'J/output token', largest=False)} [{source}]"
        for source in sources
    )


def _best(plan: Mapping[str, Any], rows: pd.DataFrame, metric: str, unit: str, *, largest: bool) -> str:
    known = rows[rows[f"{metric}_mean"].notna()]
    if known.empty:
        return "unknown, nothing was measured"
    row = known.sort_values(f"{metric}_mean", ascending=not largest, kind="stable").iloc[0]
    low, high = row[f"{metric}_ci95_low"], row[f"{metric}_ci95_high"]
    interval = f"95 % interval {low:.3g} to {high:.3g}, n={row['replicates']}" if pd.notna(low) else "n=1, no interval"
    return f"{label(plan, row['experiment_id'])} · {row[f'{metric}_mean']:.3g} {unit} ({interval})"


def _failures(plan: Mapping[str, Any], bad: pd.DataFrame, warnings: int) -> str:
    noted = f"{warnings} warnings" if warnings else "no warnings"
    if bad.empty:
        return f"none, {noted}"
    first = bad.iloc[0]
    more = f" (and {len(bad) - 1} more)" if len(bad) > 1 else ""
    return f"{len(bad)}, {noted}; {label(plan, first['experiment_id'])}: {first['failure_reason']}{more}"

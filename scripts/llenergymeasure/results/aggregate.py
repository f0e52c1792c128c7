"""From the measurement lines of a study to its tables, in one pass over the lines."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from llenergymeasure.results.labels import show
from llenergymeasure.results.latencies import read_latencies, write_latencies
from llenergymeasure.results.records import HEAD_COLUMNS
from llenergymeasure.results.runs import run_row, runs_table
from llenergymeasure.results.study_results import Lines
from llenergymeasure.results.summary import summary_table
from llenergymeasure.results.token_costs import token_costs, write_token_costs


def aggregate(
    plan: Mapping[str, Any],
    measurements: Sequence[Path],
    loads: Sequence[Mapping[str, Any]],
    *,
    csv: Path,
    parquet: Path,
    runs: Path,
    latencies: Path,
    token_costs_csv: Path,
) -> None:
    """Write every table. No more than one line of measurements.jsonl is in memory at a time."""
    table = runs_table(plan, map(run_row, Lines(plan, measurements)))
    write_tables(plan, table, loads, csv=csv, parquet=parquet, runs=runs)
    requests = [path.with_name("requests.parquet") for path in measurements]
    write_latencies(read_latencies(requests, valid_runs(table), plan["nominal_level"]), latencies)
    write_token_costs(token_costs(plan, table), token_costs_csv)


def valid_runs(runs: pd.DataFrame) -> set[tuple[str, int]]:
    """(experiment, replicate) of the runs whose figures count."""
    good = runs[runs["status"] == "ok"]
    return set(zip(map(str, good["experiment_id"]), map(int, good["replicate"]), strict=True))


def write_tables(
    plan: Mapping[str, Any],
    table: pd.DataFrame,
    loads: Iterable[Mapping[str, Any]],
    *,
    csv: Path,
    parquet: Path,
    runs: Path,
) -> None:
    """Write summary.csv, summary.parquet and runs.parquet. An empty cell is an unknown value, never 0."""
    summary = summary_table(plan, table, list(loads))
    table.to_parquet(runs, index=False)
    summary.to_csv(csv, index=False)
    free = [path for path in plan["axes"] if path not in HEAD_COLUMNS]
    summary.assign(**{path: _of_one_kind(summary[path]) for path in free}).to_parquet(parquet, index=False)


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

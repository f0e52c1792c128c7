"""From the measurement lines of a study to its tables, in one pass over the lines."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from llenergymeasure.config.settings.slo import SloConfig
from llenergymeasure.records.labels import value_label
from llenergymeasure.records.metrics import HEAD_COLUMNS
from llenergymeasure.records.setup import LoadRecord
from llenergymeasure.results.reading.measured_plan import MeasuredPlan
from llenergymeasure.results.tables.latencies import Latencies, write_latencies
from llenergymeasure.results.tables.runs import runs_table
from llenergymeasure.results.tables.sessions import read_sessions
from llenergymeasure.results.tables.summary import summary_table
from llenergymeasure.results.tables.token_costs import token_costs, write_token_costs

NO_SLO = SloConfig()


def aggregate(
    plan: MeasuredPlan,
    measurements: Sequence[Path],
    setups: Sequence[LoadRecord],
    *,
    csv: Path,
    parquet: Path,
    runs: Path,
    latencies: Path,
    token_costs_csv: Path,
    slo: SloConfig = NO_SLO,
    processes: int = 1,
) -> None:
    """Write every table. Each process holds one line of measurements.jsonl in memory at a time."""
    latency: Latencies = {}

    def rows() -> Iterator[dict[str, Any]]:
        for session in read_sessions(plan, measurements, slo, processes):
            latency.update(session.latencies)
            yield from session.rows

    table = runs_table(plan, rows())
    write_tables(plan, table, setups, slo, csv=csv, parquet=parquet, runs=runs)
    write_latencies({name: latency[name] for name in plan.experiments if name in latency}, latencies)
    write_token_costs(token_costs(plan, table), token_costs_csv)


def write_tables(
    plan: MeasuredPlan,
    table: pd.DataFrame,
    setups: Iterable[LoadRecord],
    slo: SloConfig = NO_SLO,
    *,
    csv: Path,
    parquet: Path,
    runs: Path,
) -> None:
    """Write summary.csv, summary.parquet and runs.parquet. An empty cell is an unknown value, never 0."""
    summary = summary_table(plan, table, list(setups), slo)
    table.to_parquet(runs, index=False)
    summary.to_csv(csv, index=False)
    free = [path for path in plan.axes if path not in HEAD_COLUMNS]
    summary.assign(**{path: _of_one_kind(summary[path]) for path in free}).to_parquet(parquet, index=False)


def _of_one_kind(column: pd.Series[Any]) -> pd.Series[Any]:
    """Parquet needs one kind per column. Where a matrix mixes numbers and words, its column is text."""
    kinds = {type(value) for value in column if value is not None}
    if kinds <= {bool}:
        return column.astype("boolean")
    if kinds <= {int}:
        return column.astype("Int64")
    if kinds <= {int, float}:
        return column.astype("Float64")
    return column.map(lambda value: None if value is None else value_label(value)).astype("string")

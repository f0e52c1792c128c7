"""All that a study has left on disk, read and checked: what aggregation and the report start from."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq


class ResultsError(Exception):
    """A results file is not whole; the message names it and says what to do."""


@dataclass(frozen=True)
class StudyResults:
    """Plan, tables, every measurement line and load record, and the requests of all replicates."""

    plan: dict[str, Any]
    summary: pd.DataFrame
    runs: pd.DataFrame
    records: list[dict[str, Any]]
    loads: list[dict[str, Any]]
    requests: pa.Table | None


def read_study(
    plan: Path, summary: Path, runs: Path, measurements: Sequence[Path], loads: Sequence[Path]
) -> StudyResults:
    """Everything the report shows. ResultsError where a file is broken."""
    drawn = read_json(plan)
    tables = [pq.read_table(path.with_name("requests.parquet")) for path in measurements]
    return StudyResults(
        plan=drawn,
        summary=pd.read_parquet(summary),
        runs=pd.read_parquet(runs),
        records=read_records(drawn, measurements),
        loads=[read_json(path) for path in loads],
        requests=pa.concat_tables(tables) if tables else None,
    )


def read_records(plan: dict[str, Any], paths: Sequence[Path]) -> list[dict[str, Any]]:
    """The lines of the plan's experiments, in the plan's order of experiments, then by replicate.

    A batch keeps experiments that have left the study since; they are not the study's results any more. An
    experiment of the plan that has no line is an error: half a file must not pass for a whole one.
    """
    found: dict[tuple[str, int], dict[str, Any]] = {}
    for path in paths:
        for record in _lines(path):
            entry = plan["experiments"].get(record["experiment_id"])
            if entry is not None and entry["batch_id"] == record["batch_id"]:
                found[record["experiment_id"], record["replicate"]] = record
    wanted = [
        (name, replicate) for name in plan["experiments"] for replicate in range(1, plan["replicates"] + 1)
    ]
    missing = [key for key in wanted if key not in found]
    if missing:
        name, replicate = missing[0]
        folder = f"batches/{plan['experiments'][name]['batch_id']}/{replicate}"
        raise ResultsError(
            f"{len(missing)} measurements are missing, the first is experiment {name}, replicate {replicate}; "
            f"delete {folder} in the study's results and run again"
        )
    return [found[key] for key in wanted]


def read_json(path: Path) -> dict[str, Any]:
    try:
        record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ResultsError(f"{path} is not whole ({error}); delete it and run again") from error
    return record


def _lines(path: Path) -> list[dict[str, Any]]:
    records = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            records.append(json.loads(line))
        except ValueError as error:
            raise ResultsError(f"{path}:{number} is not whole ({error}); delete {path.parent} and run again") from error
    return records

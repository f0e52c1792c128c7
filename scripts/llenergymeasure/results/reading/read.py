"""All that a study has left on disk, read and checked: what aggregation and the report start from."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pandas as pd

from llenergymeasure.records.metrics import RECORD_KEYS, SCHEMA_VERSION
from llenergymeasure.results.reading.compact import Keeper
from llenergymeasure.results.reading.errors import ResultsError
from llenergymeasure.results.reading.same_inputs import SameInputs
from llenergymeasure.results.report.truncation import MOST
from llenergymeasure.results.statistics.estimates import CONFIDENCE
from llenergymeasure.results.tables.latencies import Latencies, latencies_of

STATUSES = ("ok", "failed", "invalid")


@dataclass(frozen=True)
class Records:
    """The plan's measurement lines, in the plan's order, then by replicate; and how many other lines there were."""

    records: list[dict[str, Any]]
    left_out: int


@dataclass(frozen=True)
class StudyResults:
    """Plan, tables, every measurement line and load record, and how the requests' latencies are distributed.

    records: what `kept.Keeper` leaves of the lines

    costs: carbon and money, one row an experiment
    rerun: of a study that was measured again, comparison.csv
    latencies: experiment_id → metric name → distribution over all requests of the valid replicates
    """

    plan: dict[str, Any]
    summary: pd.DataFrame
    runs: pd.DataFrame
    records: list[dict[str, Any]]
    left_out: int
    setups: list[dict[str, Any]]
    latencies: Latencies
    costs: pd.DataFrame
    rerun: pd.DataFrame | None = None


def read_study(
    plan: Path,
    summary: Path,
    runs: Path,
    costs: Path,
    latencies: Path,
    measurements: Sequence[Path],
    setups: Sequence[Path],
    interim: Sequence[Path] = (),
    comparison: Sequence[Path] = (),
) -> StudyResults:
    """Everything the report shows. ResultsError where a file is broken."""
    drawn = read_plan(plan, measurements, interim)
    table = read_table(summary)
    found = read_records(drawn, measurements, Keeper(with_evidence(table)))
    return StudyResults(
        plan=drawn,
        summary=table,
        runs=read_table(runs),
        records=found.records,
        left_out=found.left_out,
        setups=read_loads(drawn, setups),
        latencies=latencies_of(_read_csv(latencies)),
        costs=_read_csv(costs),
        rerun=_read_csv(comparison[0]) if comparison else None,
    )


def read_plan(path: Path, measurements: Sequence[Path], interim: Sequence[Path]) -> dict[str, Any]:
    """The plan as it was carried out: `replicates` is how many were measured, `interim` the one that ended the study.

    `interim` is None, and `nominal_level` 95 %, where the number of replicates was fixed.
    """
    plan = read_json(path)
    last = [read_json(found) for found in interim]
    return {
        **plan,
        "replicates": max((int(found.parent.name) for found in measurements), default=plan["replicates"]),
        "interim": last[0] if last else None,
        "nominal_level": last[0]["nominal_level"] if last else CONFIDENCE,
    }


class Lines:
    """The lines of the plan's experiments, one after the other, in the order of the files.

    A session keeps experiments that have left the study since; they are not the study's results any more, so they
    are counted (`left_out`) and left out. An experiment of the plan that has no line, or two, is an error when all
    have been read: half a file must not pass for a whole one. So are replicates with other prompts or weights.
    """

    def __init__(self, plan: Mapping[str, Any], paths: Sequence[Path]) -> None:
        self._plan = plan
        self._paths = paths
        self.left_out = 0

    def __iter__(self) -> Iterator[dict[str, Any]]:
        experiments = self._plan["experiments"]
        replicates = range(1, self._plan["replicates"] + 1)
        missing = {name: set(replicates) for name in experiments}
        inputs = SameInputs()
        for path in self._paths:
            for number, record in _lines(path):
                name, replicate = record["experiment_id"], record["replicate"]
                entry = experiments.get(name)
                if entry is None or entry["session_id"] != record["session_id"] or replicate not in replicates:
                    self.left_out += 1
                elif replicate not in missing[name]:
                    raise ResultsError(
                        f"{path}:{number} measures experiment {name}, replicate {replicate} a second time; "
                        f"delete {path.parent} and run again"
                    )
                else:
                    missing[name].remove(replicate)
                    inputs.check(record, path)
                    yield record
        lacking = [(name, replicate) for name, left in missing.items() for replicate in sorted(left)]
        if lacking:
            name, replicate = lacking[0]
            folder = f"sessions/{experiments[name]['session_id']}/{replicate}"
            raise ResultsError(
                f"{len(lacking)} measurements are missing, the first is experiment {name}, replicate {replicate}; "
                f"delete {folder} in the study's results and run again"
            )


def read_records(
    plan: Mapping[str, Any], paths: Sequence[Path], keep: Callable[[dict[str, Any]], dict[str, Any]] = dict
) -> Records:
    """All lines at once, in the plan's order, then by replicate; of each what `keep` makes of it."""
    places = {name: place for place, name in enumerate(plan["experiments"])}
    lines = Lines(plan, paths)
    records = sorted(map(keep, lines), key=lambda record: (places[record["experiment_id"]], record["replicate"]))
    return Records(records, lines.left_out)


def with_evidence(summary: pd.DataFrame) -> list[str]:
    """Experiments whose evidence the report unfolds: those with an ignored setting, then the first of the study."""
    invalid = summary["status"] == "invalid"
    names = [*summary["experiment_id"][invalid], *summary["experiment_id"][~invalid]]
    return [str(name) for name in names[:MOST]]


def read_loads(plan: Mapping[str, Any], paths: Sequence[Path]) -> list[dict[str, Any]]:
    """The load records of the plan, in the order in which the plan's experiments need them."""
    by_id = {record["setup_id"]: record for record in map(read_json, paths)}
    wanted = list(dict.fromkeys(entry["setup_id"] for entry in plan["experiments"].values()))
    missing = [setup_id for setup_id in wanted if setup_id not in by_id]
    if missing:
        raise ResultsError(f"the record of setup {missing[0]} is missing; delete setups/{missing[0]} and run again")
    return [by_id[setup_id] for setup_id in wanted]


def read_json(path: Path) -> dict[str, Any]:
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ResultsError(f"{path} is not whole ({error}); delete it and run again") from error
    if not isinstance(record, dict):
        raise ResultsError(f"{path} holds no record; delete it and run again")
    return record


def _lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    advice = f"delete {path.parent} and run again"
    try:
        found = path.read_bytes()
    except OSError as error:
        raise ResultsError(f"{path} can't be read ({error}); {advice}") from error
    for number, line in enumerate(found.splitlines(), start=1):
        try:
            record = orjson.loads(line)
        except ValueError as error:
            raise ResultsError(f"{path}:{number} is not whole ({error}); {advice}") from error
        lacking = [key for key in RECORD_KEYS if not isinstance(record, dict) or key not in record]
        if lacking:
            raise ResultsError(f"{path}:{number} lacks {', '.join(lacking)}; {advice}")
        if record["schema_version"] != SCHEMA_VERSION:
            raise ResultsError(
                f"{path}:{number} has schema version {record['schema_version']}, this program reads {SCHEMA_VERSION}; "
                f"{advice}"
            )
        if record["status"] not in STATUSES:
            raise ResultsError(f"{path}:{number} has status {record['status']!r}, not one of {STATUSES}; {advice}")
        yield number, record


def _read_csv(path: Path) -> pd.DataFrame:
    try:
        return pd.read_csv(path, dtype={"experiment_id": "string", "rerun_of": "string"})
    except (OSError, ValueError) as error:
        raise ResultsError(f"{path} can't be read ({error}); delete it and run again") from error


def read_table(path: Path) -> pd.DataFrame:
    try:
        return pd.read_parquet(path)
    except (OSError, ValueError) as error:
        raise ResultsError(f"{path} can't be read ({error}); delete it and run again") from error

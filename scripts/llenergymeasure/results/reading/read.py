"""The files of a study, read and checked: what aggregation and the report start from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self, TypeVar

import pandas as pd

from llenergymeasure.records.measurement import MeasurementRecord
from llenergymeasure.records.setup import LoadRecord
from llenergymeasure.records.storage.parsing import (
    AnyRecord,
    BrokenRecord,
    parse,
    read_record,
)
from llenergymeasure.records.study import plan as plan_file
from llenergymeasure.records.study.interim import InterimAnalysis
from llenergymeasure.records.study.plan import Plan, PlanError
from llenergymeasure.results.reading.compact import CompactRecord, Keeper
from llenergymeasure.results.reading.errors import ResultsError
from llenergymeasure.results.reading.measured_plan import MeasuredPlan
from llenergymeasure.results.reading.same_inputs import SameInputs
from llenergymeasure.results.report.truncation import MOST
from llenergymeasure.results.tables.latencies import Latencies, latencies_from_table

Kept = TypeVar("Kept", MeasurementRecord, CompactRecord)


@dataclass(frozen=True)
class StudyResults:
    """Plan, tables, every measurement line and load record, and how the requests' latencies are distributed.

    records: the lines as `compact.Keeper` keeps them, in the plan's order, then by replicate
    left_out: how many other lines there are
    costs: carbon and money, one row per experiment
    rerun: comparison.csv, where the study is a rerun
    latencies: experiment_id → metric name → distribution over all requests of the valid replicates
    """

    plan: MeasuredPlan
    summary: pd.DataFrame
    runs: pd.DataFrame
    records: list[CompactRecord]
    left_out: int
    setups: list[LoadRecord]
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
    records, left_out = read_records(drawn, measurements, Keeper(with_evidence(table)))
    return StudyResults(
        plan=drawn,
        summary=table,
        runs=read_table(runs),
        records=records,
        left_out=left_out,
        setups=read_loads(drawn, setups),
        latencies=latencies_from_table(_read_csv(latencies)),
        costs=_read_csv(costs),
        rerun=_read_csv(comparison[0]) if comparison else None,
    )


def read_plan(path: Path, measurements: Sequence[Path], interim: Sequence[Path]) -> MeasuredPlan:
    """The plan as it was carried out, from the existing measurements and the interim analysis that ended it."""
    try:
        plan = plan_file.read_plan(path)
    except PlanError as error:
        raise ResultsError(str(error)) from error
    if plan is None:
        raise ResultsError(f"{path} is missing; run again")
    replicates = max((int(measured.parent.name) for measured in measurements), default=plan.replicates)
    return MeasuredPlan.after(plan, replicates, read_file(InterimAnalysis, interim[0]) if interim else None)


@dataclass(frozen=True)
class Expected:
    """Which lines a study has: experiment_id → its session, and how many replicates of each."""

    sessions: Mapping[str, str]
    replicates: int

    @classmethod
    def of(cls, plan: Plan) -> Self:
        return cls({name: entry.session_id for name, entry in plan.experiments.items()}, plan.replicates)


class Lines:
    """The lines of the plan's experiments, one after the other, in the order of the files.

    A session keeps experiments that have left the study since. They are no longer results of the study, so they are
    only counted (`left_out`). After all lines are read, an experiment of the plan with no line, or two, is an error:
    half a file must not pass for a whole one. So are replicates with other prompts or weights.
    """

    def __init__(self, expected: Expected, paths: Sequence[Path]) -> None:
        self._expected = expected
        self._paths = paths
        self.left_out = 0

    def __iter__(self) -> Iterator[MeasurementRecord]:
        sessions = self._expected.sessions
        replicates = range(1, self._expected.replicates + 1)
        missing = {name: set(replicates) for name in sessions}
        inputs = SameInputs()
        for path in self._paths:
            for number, record in read_lines(MeasurementRecord, path, f"delete {path.parent} and run again"):
                name, replicate = record.experiment_id, record.replicate
                if sessions.get(name) != record.session_id or replicate not in replicates:
                    self.left_out += 1
                elif replicate not in missing[name]:
                    raise ResultsError(
                        f"{path}:{number} contains experiment {name}, replicate {replicate} a second time; "
                        f"delete {path.parent} and run again"
                    )
                else:
                    missing[name].remove(replicate)
                    inputs.check(record, path)
                    yield record
        lacking = [(name, replicate) for name, left in missing.items() for replicate in sorted(left)]
        if lacking:
            name, replicate = lacking[0]
            folder = f"sessions/{sessions[name]}/{replicate}"
            raise ResultsError(
                f"{len(lacking)} measurements are missing, the first is experiment {name}, replicate {replicate}; "
                f"delete {folder} in the study's results and run again"
            )


def read_records(
    plan: Plan, paths: Sequence[Path], keep: Callable[[MeasurementRecord], Kept]
) -> tuple[list[Kept], int]:
    """All lines at once, in the plan's order, then by replicate, each as `keep` returns it; and how many lines are
    not of the plan.
    """
    places = {name: place for place, name in enumerate(plan.experiments)}
    lines = Lines(Expected.of(plan), paths)
    records = sorted(map(keep, lines), key=lambda record: (places[record.experiment_id], record.replicate))
    return records, lines.left_out


def with_evidence(summary: pd.DataFrame) -> list[str]:
    """Experiments whose evidence the report unfolds: those with an ignored setting, then the first of the study."""
    invalid = summary["status"] == "invalid"
    names = [*summary["experiment_id"][invalid], *summary["experiment_id"][~invalid]]
    return [str(name) for name in names[:MOST]]


def read_loads(plan: Plan, paths: Sequence[Path]) -> list[LoadRecord]:
    """The load records of the plan, in the order in which the plan's experiments need them."""
    by_id = {record.setup_id: record for record in (read_file(LoadRecord, path) for path in paths)}
    needed = list(dict.fromkeys(entry.setup_id for entry in plan.experiments.values()))
    missing = [setup_id for setup_id in needed if setup_id not in by_id]
    if missing:
        raise ResultsError(f"the record of setup {missing[0]} is missing; delete setups/{missing[0]} and run again")
    return [by_id[setup_id] for setup_id in needed]


def read_file(kind: type[AnyRecord], path: Path) -> AnyRecord:
    """A file that is one record. ResultsError where it is broken."""
    try:
        return read_record(kind, path)
    except BrokenRecord as error:
        raise ResultsError(error.advise("delete it and run again")) from error


def read_lines(kind: type[AnyRecord], path: Path, advice: str) -> Iterator[tuple[int, AnyRecord]]:
    """The records of a file with one per line, each with the number of its line.

    ResultsError where the file cannot be used; advice: what to do then
    """
    try:
        text = path.read_bytes()
    except OSError as error:
        raise ResultsError(f"{path} cannot be read ({error}); {advice}") from error
    for number, line in enumerate(text.splitlines(), start=1):
        try:
            record = parse(kind, line, path, number)
        except BrokenRecord as error:
            raise ResultsError(error.advise(advice)) from error
        yield number, record


def _read_csv(path: Path) -> pd.DataFrame:
    try:
        return pd.read_csv(path, dtype={"experiment_id": "string", "rerun_of": "string"})
    except (OSError, ValueError) as error:
        raise ResultsError(f"{path} cannot be read ({error}); delete it and run again") from error


def read_table(path: Path) -> pd.DataFrame:
    try:
        return pd.read_parquet(path)
    except (OSError, ValueError) as error:
        raise ResultsError(f"{path} cannot be read ({error}); delete it and run again") from error

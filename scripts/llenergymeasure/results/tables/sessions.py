"""The results of one session: rows for the tables, and how long its requests took.

Sessions are independent of each other, so several processes share them.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from llenergymeasure.config.settings.slo import SloConfig
from llenergymeasure.processes.lifeline import end_with_parent
from llenergymeasure.results.reading.measured_plan import MeasuredPlan
from llenergymeasure.results.reading.read import Expected, Lines
from llenergymeasure.results.statistics.counted import counted_rows
from llenergymeasure.results.tables.latencies import Latencies, read_latencies
from llenergymeasure.results.tables.runs import run_row
from llenergymeasure.results.tables.slo import read_slo_shares, with_slo

# Fewer sessions than this are read before another process has started.
WORTH_A_PROCESS = 20


@dataclass(frozen=True)
class SessionResults:
    """rows: as `runs.run_row` makes them"""

    rows: list[dict[str, Any]]
    latencies: Latencies


@dataclass(frozen=True)
class SessionFiles:
    """expected: the lines of this session's experiments alone; measurements: one path per replicate"""

    expected: Expected
    measurements: Sequence[Path]


def read_sessions(
    plan: MeasuredPlan, measurements: Sequence[Path], slo: SloConfig, processes: int
) -> Iterator[SessionResults]:
    """Every session of the plan, in any order. ResultsError where a file is broken or missing."""
    of_session: dict[str, list[Path]] = {}
    for path in measurements:
        of_session.setdefault(path.parent.parent.name, []).append(path)
    members: dict[str, dict[str, str]] = {}
    for name, entry in plan.experiments.items():
        members.setdefault(entry.session_id, {})[name] = entry.session_id
    files = [
        SessionFiles(Expected(sessions, plan.replicates), of_session.get(session_id, []))
        for session_id, sessions in members.items()
    ]
    read = partial(_read, level=plan.nominal_level, slo=slo)
    if processes <= 1 or len(files) < WORTH_A_PROCESS:
        yield from map(read, files)
        return
    # Fork before this process has read anything: another start method would run the calling script again.
    with ProcessPoolExecutor(
        processes,
        mp_context=multiprocessing.get_context("fork"),
        # Without this they would wait for ever if this process were killed.
        initializer=end_with_parent,
        initargs=(os.getpid(),),
    ) as pool:
        yield from pool.map(read, files, chunksize=max(1, len(files) // (8 * processes)))


def _read(files: SessionFiles, level: float, slo: SloConfig) -> SessionResults:
    rows = [run_row(record) for record in Lines(files.expected, files.measurements)]
    counts = counted_rows([(row["experiment_id"], row["status"], row["validity"]) for row in rows])
    valid = {(row["experiment_id"], row["replicate"]) for row, it in zip(rows, counts, strict=True) if it}
    requests = [path.with_name("requests.parquet") for path in files.measurements]
    shares = read_slo_shares(requests, slo)
    return SessionResults([with_slo(row, shares) for row in rows], read_latencies(requests, valid, level))

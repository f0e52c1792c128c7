"""What a person watching sees: which experiment of how many, how fast, and how much time is left."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TextIO

from llenergymeasure.config.problems.text import printable
from llenergymeasure.pipeline.plan.plan_index import PlanIndex
from llenergymeasure.records.calibration import SessionCalibration
from llenergymeasure.records.measurement import MeasurementRecord
from llenergymeasure.records.storage.journal import journalled_ids
from llenergymeasure.records.storage.layout import Layout
from llenergymeasure.records.storage.parsing import read_record
from llenergymeasure.records.study.plan import Plan

# The calibrated durations of this many sessions are read; the other sessions are assumed to be like them.
SAMPLED_SESSIONS = 20


class Progress:
    """Counts over the whole study, whichever process measured it. Prints one line per experiment of one job.

    It looks up what other jobs have done once, when this job begins, so that a line costs the same in every study.
    """

    def __init__(self, index: PlanIndex, piece: Plan, replicate: int, results: Path, stream: TextIO) -> None:
        self._piece = piece
        self._stream = stream
        self._replicate = replicate
        self._fixed = index.stopping is None
        self._most = index.most_replicates
        # Where a study continues until it is precise enough: the replicates that are certainly measured.
        self._replicates = max(index.replicates, replicate)
        self._total = index.experiments * self._replicates
        (session,) = piece.sessions
        expected = _expected_s(results, session.session_id) or {}
        self._pending = {member: expected.get(member, 0.0) for member in session.experiments}
        for member in _journalled(_replicate_folder(results, session.session_id, replicate) / ".journal"):
            self._pending.pop(member, None)
        others = [entry for entry in index.order if entry[1] <= self._replicates]
        others.remove((session.session_id, replicate))
        pending, done = _pending_elsewhere(index, results, others)
        self._done = done + len(session.experiments) - len(self._pending)
        self._elsewhere_s = _expected_cost_s(pending, results)

    def report(self, record: MeasurementRecord) -> None:
        """Say how the experiment of `record` went and what is left."""
        self._pending.pop(record.experiment_id, None)
        self._done += 1
        left_s = None if self._elsewhere_s is None else self._elsewhere_s + sum(self._pending.values())
        of = f"{self._replicates}" if self._fixed else f"at most {self._most}"
        line = (
            f"[{self._done}/{self._total}] replicate {self._replicate} of {of} · "
            f"{self._label(record.experiment_id)} · {outcome(record)} · {remaining(left_s, self._done, self._total)}"
        )
        print(printable(line), file=self._stream, flush=True)

    def _label(self, experiment_id: str) -> str:
        return self._piece.experiments[experiment_id].label


def _pending_elsewhere(
    index: PlanIndex, results: Path, jobs: Sequence[tuple[str, int]]
) -> tuple[list[tuple[str, float]], int]:
    """Of other jobs: (session, share of its experiments that is not measured yet), and how many are done."""
    pending: list[tuple[str, float]] = []
    done = 0
    for session_id, replicate in jobs:
        size = index.sessions[session_id].experiments
        folder = _replicate_folder(results, session_id, replicate)
        finished = size if (folder / "measurements.jsonl").exists() else len(set(_journalled(folder / ".journal")))
        done += finished
        if finished < size:
            pending.append((session_id, 1 - finished / size))
    return pending, done


def _expected_cost_s(pending: Sequence[tuple[str, float]], results: Path) -> float | None:
    """Calibrated seconds of work, with the start of each process. None while a calibration is missing."""
    names = sorted({session_id for session_id, _ in pending})
    sampled = names[:: max(1, math.ceil(len(names) / SAMPLED_SESSIONS))]
    costs: dict[str, float] = {}
    for session_id in sampled:
        expected = _expected_s(results, session_id)
        if expected is None:
            return None
        costs[session_id] = sum(expected.values())
    mean_s = sum(costs.values()) / len(costs) if costs else 0.0
    return sum(share * costs.get(session_id, mean_s) for session_id, share in pending)


def _expected_s(results: Path, session_id: str) -> dict[str, float] | None:
    """Seconds that each experiment of a session takes; the start of the process has the empty name."""
    path = Layout(results).calibration(session_id)
    if not path.exists():
        return None
    calibration = read_record(SessionCalibration, path)
    expected = {name: item.expected_s or 0.0 for name, item in calibration.experiments.items()}
    return {**expected, "": calibration.startup_s}


def _replicate_folder(results: Path, session_id: str, replicate: int) -> Path:
    return Layout(results).replicate(session_id, replicate)


def outcome(record: MeasurementRecord) -> str:
    """`52.1 output tokens/s · 0.81 J/token (estimated)`, or why there is no figure."""
    if record.failure is not None:
        return f"FAILED in {record.failure.stage}: {record.failure.reason}"
    metrics = record.metrics
    speed = metrics["throughput_output_tokens_per_s"]
    parts = ["speed unknown" if speed is None else f"{speed:.1f} output tokens/s"]
    joules = metrics["energy_per_output_token_j"]
    if joules is None:
        parts.append("energy unknown")
    else:
        parts.append(f"{joules:.3g} J/output token ({record.energy_source})")
    if record.status == "invalid":
        parts.append(f"INVALID: {record.why_invalid}")
    return " · ".join(parts)


def remaining(left_s: float | None, done: int, total: int) -> str:
    if done >= total:
        return "all measured"
    if left_s is None:
        return "time left unknown"
    if left_s < 90:
        return f"about {left_s:.0f} s left"
    return f"about {left_s / 60:.0f} min left"


def _journalled(folder: Path) -> Iterator[str]:
    for path in folder.glob("*.jsonl"):
        yield from journalled_ids(path)

"""What a person watching sees: which experiment of how many, how fast, how long still."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TextIO

from llenergymeasure.config.words import printable
from llenergymeasure.measurement.plan import Batch, Plan


class Progress:
    """Counts over the whole study, whichever process measured it, and prints a line an experiment."""

    def __init__(self, plan: Plan, results: Path, stream: TextIO) -> None:
        self._plan = plan
        self._results = results
        self._stream = stream

    def report(self, record: dict[str, Any]) -> None:
        """Say how the experiment of `record` went and what is left."""
        # Of a study that goes on until it is precise enough, the replicates that are sure to be measured.
        replicates = max(self._plan.replicates, record["replicate"])
        total = len(self._plan.experiments) * replicates
        of = f"{replicates}" if self._plan.stopping is None else f"at most {self._plan.most_replicates}"
        left_s, done = self._left(record, replicates)
        line = (
            f"[{done}/{total}] replicate {record['replicate']} of {of} · "
            f"{self._label(record['experiment_id'])} · {outcome(record)} · {remaining(left_s, done, total)}"
        )
        print(printable(line), file=self._stream, flush=True)

    def _label(self, experiment_id: str) -> str:
        return label(self._plan.experiments[experiment_id]["axes"]) or experiment_id

    def _left(self, record: dict[str, Any], replicates: int) -> tuple[float | None, int]:
        """Seconds of work left as calibrated (None while a calibration is missing), and experiments done."""
        left_s: float | None = 0.0
        done = 0
        for batch_id, replicate in self._plan.order:
            if replicate > replicates:
                continue
            batch = self._plan.batch(batch_id)
            finished = self._finished(batch, replicate)
            done += len(finished)
            pending = [member for member in batch.experiments if member not in finished]
            cost_s = self._cost_s(
                batch, pending, started=batch_id == record["batch_id"] and replicate == record["replicate"]
            )
            left_s = None if left_s is None or cost_s is None else left_s + cost_s
        return left_s, done

    def _finished(self, batch: Batch, replicate: int) -> set[str]:
        folder = self._results / "batches" / batch.batch_id / str(replicate)
        if (folder / "measurements.jsonl").exists():
            return set(batch.experiments)
        return set(_journalled(folder / ".journal"))

    def _cost_s(self, batch: Batch, pending: list[str], *, started: bool) -> float | None:
        if not pending:
            return 0.0
        path = self._results / "batches" / batch.batch_id / "calibration.json"
        if not path.exists():
            return None
        calibration = json.loads(path.read_text(encoding="utf-8"))
        work_s = sum(calibration["experiments"][member].get("expected_s", 0.0) for member in pending)
        return float(work_s) + (0.0 if started else calibration["startup_s"])


def label(axes: Mapping[str, Any]) -> str:
    """`batch_size=4 attn_implementation=eager`: the matrix values by the last part of their path."""
    return " ".join(f"{path.rsplit('.', 1)[-1]}={value}" for path, value in axes.items() if value is not None)


def outcome(record: dict[str, Any]) -> str:
    """`52.1 output tokens/s · 0.81 J/token (estimated)`, or why there is no figure."""
    if record["status"] == "failed":
        return f"FAILED in {record['failure']['stage']}: {record['failure']['reason']}"
    metrics = record["metrics"]
    parts = [f"{metrics['throughput_output_tokens_per_s']:.1f} output tokens/s"]
    joules = metrics["energy_per_output_token_j"]
    if joules is None:
        parts.append("energy unknown")
    else:
        parts.append(f"{joules:.3g} J/output token ({record['energy_source']})")
    if record["status"] == "invalid":
        parts.append("INVALID: a setting did not take effect")
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
        with path.open(encoding="utf-8") as lines:
            for line in lines:
                if line.endswith("\n"):
                    yield json.loads(line)["record"]["experiment_id"]

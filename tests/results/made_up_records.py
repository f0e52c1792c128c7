"""Plans and records with only what a test is about; the rest is empty."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from results.record_parts import environment

from llenergymeasure.records.measurement import MeasurementRecord
from llenergymeasure.records.schema import SCHEMA_VERSION
from llenergymeasure.records.study.plan import Plan, PlannedExperiment, Session, Stopping
from llenergymeasure.records.validity import Failure
from llenergymeasure.results.reading.measured_plan import MeasuredPlan


def made_up_plan(
    experiments: Mapping[str, Mapping[str, Any]],
    *,
    axes: Sequence[str] = (),
    replicates: int = 3,
    stopping: Stopping | None = None,
) -> MeasuredPlan:
    """experiments: id → what is known of it, of setup_id, session_id, config and axes."""
    empty = {"setup_id": "setup", "session_id": "session", "config": {}, "axes": {}, "inputs": {}}
    planned = {name: PlannedExperiment(**{**empty, **known}) for name, known in experiments.items()}
    plan = Plan(
        study="made-up",
        seed=0,
        isolation="setup",
        replicates=replicates,
        axes=tuple(axes),
        experiments=planned,
        sessions=(Session("session", "setup", tuple(planned)),),
        order=tuple(("session", replicate) for replicate in range(1, replicates + 1)),
        stopping=stopping,
    )
    return MeasuredPlan.after(plan)


def made_up_record(experiment_id: str, metrics: Mapping[str, float] | None) -> MeasurementRecord:
    """Of a run with these figures; of a failed one where they are None."""
    head = {
        "schema_version": SCHEMA_VERSION,
        "experiment_id": experiment_id,
        "session_id": "session",
        "setup_id": "setup",
        "replicate": 1,
        "begun_unix_s": 1.79e9,
        "config": {},
        "environment": environment(),
        "weights": {},
    }
    failure = Failure.of("measure", "Error", "made up", Path("log"))
    record = MeasurementRecord.failed(head, failure)
    if metrics is None:
        return record
    return record.model_copy(update={"status": "ok", "failure": None, "metrics": dict(metrics)})

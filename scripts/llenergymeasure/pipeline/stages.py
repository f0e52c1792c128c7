"""The three stages that hold a model: load, warmup, measure. Each reads the plan, asks a worker, writes records."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from llenergymeasure.measurement.worker.manager import Damaged, LoadOrder, Manager, Refused
from llenergymeasure.models.snapshot import SnapshotError, read_snapshot
from llenergymeasure.pipeline.model_stage import refused_model, unread_tokenizer
from llenergymeasure.pipeline.plan.inputs import require_content
from llenergymeasure.pipeline.plan.plan import replicate_order, warmup_order
from llenergymeasure.pipeline.prompt_check import checked_prompts, context_warnings
from llenergymeasure.pipeline.run_limits import RunLimits, StudyStopped
from llenergymeasure.records.calibration import CalibratedExperiment, SessionCalibration, WarmedUp
from llenergymeasure.records.finding import warning
from llenergymeasure.records.measurement import MeasurementRecord
from llenergymeasure.records.schema import SCHEMA_VERSION
from llenergymeasure.records.setup import LoadRecord
from llenergymeasure.records.storage.journal import Journal
from llenergymeasure.records.storage.parsing import first_error
from llenergymeasure.records.study.checks import PromptCheck
from llenergymeasure.records.study.plan import Plan, Session
from llenergymeasure.records.study.warmth import StudyTemperatures
from llenergymeasure.records.validity import Failure

Report = Callable[[MeasurementRecord], None]


@dataclass(frozen=True)
class Setting:
    """What the stages share: the study's measurement settings and where its files are."""

    plan: Plan
    snapshots: dict[str, Path]
    quantized: Path | None
    prompts: PromptCheck
    compile_cache: Path
    min_window_s: float
    energy_resolution: float
    foreign_load: float
    timeout_s: float
    stop_on_failure: bool
    environment: dict[str, Any]
    neighbours: dict[str, str] | None
    limits: RunLimits
    log: Path

    def order(self, setup_id: str) -> LoadOrder:
        return LoadOrder(
            config=dict(self.plan.setup_config(setup_id)),
            snapshots=self.snapshots,
            compile_cache=self.compile_cache,
            timeout_s=self.timeout_s,
            foreign_load=self.foreign_load,
            quantized=self.quantized,
        )


def run_load(setting: Setting, setup_id: str) -> LoadRecord:
    """Load (and compile) once; return the cost and the outcome. SnapshotError when the model's files changed."""
    _check(setting)
    weights = _require_contents(setting)
    # transformers also compiles where the study does not ask for it: whatever it compiles goes there.
    setting.compile_cache.mkdir(parents=True, exist_ok=True)
    order = setting.order(setup_id)
    head = {
        "schema_version": SCHEMA_VERSION,
        "setup_id": setup_id,
        "config": order.config,
        "environment": setting.environment,
        "weights": weights,
    }
    if (failure := refused_model(setting.snapshots) or unread_tokenizer(setting.snapshots, setting.log)) is not None:
        _count(setting, setup_id, failure)
        return LoadRecord.from_plain({**head, "status": "failed", "failure": failure.to_plain()})
    with Manager(order, setting.log) as manager:
        try:
            record = dict(manager.load())
            head["environment"] = _with_libraries(setting, record)
            record["startup_s"] = manager.startup_s
            record["compile"] = None
            if order.config["pytorch"].get("torch_compile"):
                compiled = manager.ask({"do": "compile", "config": order.config})
                record["evidence"] = compiled.pop("evidence")
                record["energy"] = [*record["energy"], *compiled.pop("energy")]
                record["compile"] = compiled
        except Damaged as damaged:
            # Record nothing: the next call loads the snapshot that was made again.
            raise SnapshotError(damaged.failure.reason) from damaged
        except Refused as refused:
            _count(setting, setup_id, refused.failure)
            return LoadRecord.from_plain({**head, "status": "failed", "failure": refused.failure.to_plain()})
    whole = {**head, "status": "ok", "failure": None, **record}
    try:
        load_record = LoadRecord.from_plain(whole)
    except ValidationError as error:
        failure = _misfit(setting, whole, error)
        load_record = LoadRecord.from_plain({**head, "status": "failed", "failure": failure.to_plain()})
    _count(setting, setup_id, load_record.failure)
    return load_record


def run_warmup(
    setting: Setting, session_id: str, load_failure: Failure | None, journal: Journal
) -> tuple[SessionCalibration, list[dict[str, Any]]]:
    """Warm up and calibrate every experiment of a session, each of which leaves one entry in the journal.

    The order is drawn from the study's seed, because devices get warmer from experiment to experiment.

    Returns the calibration's record, and the outputs of the experiments that worked: one row per request. SnapshotError
    where a snapshot is not of the files that the plan was drawn for.
    """
    _require_contents(setting)
    session = setting.plan.session(session_id)
    with Manager(setting.order(session.setup_id), setting.log) as manager:
        for experiment_id in warmup_order(setting.plan, session):
            if experiment_id in journal:
                continue
            entry = setting.plan.experiments[experiment_id]
            prompts = checked_prompts(setting.prompts, entry, setting.log)
            if (failure := load_failure or prompts.failure) is not None:
                _stop_if_asked(setting, experiment_id, failure)
                calibrated = CalibratedExperiment(status="failed", failure=failure)
                journal.append(_warm_up_entry(experiment_id, calibrated, None, []))
                continue
            _check(setting)
            calibrated, outputs = _warm_up(setting, manager, entry.config, prompts.digest)
            _count(setting, experiment_id, calibrated.failure)
            journal.append(_warm_up_entry(experiment_id, calibrated, manager.startup_s, outputs))
    entries = [(WarmedUp.from_plain(entry["record"]), entry["outputs"]) for entry in journal.entries()]
    last, _ = entries[-1]
    planned = {experiment_id: place for place, experiment_id in enumerate(session.experiments)}
    entries.sort(key=lambda entry: planned.get(entry[0].experiment_id, len(planned)))
    calibration = SessionCalibration(
        schema_version=SCHEMA_VERSION,
        session_id=session_id,
        setup_id=session.setup_id,
        fingerprint=setting.environment["fingerprint"],
        # If a job was interrupted, the start-up time is that of the last process.
        startup_s=last.startup_s or 0.0,
        experiments={warmed.experiment_id: warmed.calibrated for warmed, _ in entries},
    )
    rows = [{"experiment_id": warmed.experiment_id, **row} for warmed, outputs in entries for row in outputs]
    return calibration, rows


def _warm_up_entry(
    experiment_id: str, calibrated: CalibratedExperiment, startup_s: float | None, outputs: list[dict[str, Any]]
) -> dict[str, Any]:
    warmed = WarmedUp.from_plain({**calibrated.to_plain(), "experiment_id": experiment_id, "startup_s": startup_s})
    return {"record": warmed.to_plain(), "outputs": outputs}


def _warm_up(
    setting: Setting, manager: Manager, config: Mapping[str, Any], prompts_digest: str | None
) -> tuple[CalibratedExperiment, list[dict[str, Any]]]:
    """The calibration of one experiment, and its outputs; a failure where the worker refuses or its reply does not fit.

    A reply is checked before the journal keeps it: one that does not fit would end every later call, too.
    """
    order = {
        "do": "warmup",
        "config": config,
        "min_window_s": setting.min_window_s,
        "energy_resolution": setting.energy_resolution,
        "prompts_digest": prompts_digest,
    }
    try:
        reply = manager.ask(order)
    except Refused as refused:
        return CalibratedExperiment(status="failed", failure=refused.failure), []
    outputs = reply.pop("outputs")
    whole = {"status": "ok", "failure": None, **reply}
    try:
        return CalibratedExperiment.from_plain(whole), outputs
    except ValidationError as error:
        return CalibratedExperiment(status="failed", failure=_misfit(setting, whole, error)), []


def run_measure(
    setting: Setting,
    session_id: str,
    replicate: int,
    calibration: SessionCalibration,
    reference_outputs: list[dict[str, Any]],
    temperatures: StudyTemperatures,
    journal: Journal,
    report: Report,
) -> None:
    """Measure a session once, in this replicate's own order. Every experiment leaves one entry in the journal.

    reference_outputs: one row {prompt_ids, output_ids} per request, in order; empty where the reference failed
    temperatures: what the calibrations on each board came to

    SnapshotError where a snapshot is not of the files that the plan was drawn for.
    """
    weights = _require_contents(setting)
    reference = {"experiment_id": setting.plan.reference, "outputs": reference_outputs}
    same = {"reference": reference, "temperatures": temperatures.to_plain()}
    session = setting.plan.session(session_id)
    warnings = [warning for warning in (setting.neighbours, _other_environment(setting, calibration)) if warning]
    with Manager(setting.order(session.setup_id), setting.log) as manager:
        for experiment_id in replicate_order(setting.plan, session, replicate):
            if experiment_id in journal:
                continue
            entry = setting.plan.experiments[experiment_id]
            config = entry.config
            head = _head(setting, session, experiment_id, replicate, weights)
            calibrated = calibration.experiments[experiment_id]
            failure = calibrated.failure
            if failure is None:
                _check(setting)
                try:
                    order = {"config": config, "calibration": calibrated.to_plain(), **same}
                    reply = manager.ask({"do": "measure", "replicate": replicate, **order})
                    head["environment"] = _with_libraries(setting, dict(manager.loaded))
                    if reply["scoring_failed"]:
                        manager.replace_worker()
                except Refused as refused:
                    failure = refused.failure
                _count(setting, experiment_id, failure)
            if failure is None:
                doubts = [*warnings, *context_warnings(setting.prompts, entry)]
                record = _measurement_record(setting, head, reply["record"], doubts)
            else:
                _stop_if_asked(setting, experiment_id, failure)
                reply = {"requests": [], "power": []}
                record = MeasurementRecord.failed(head, failure)
            journal.append({"record": record.to_plain(), "requests": reply["requests"], "power": reply["power"]})
            report(record)


def _head(
    setting: Setting, session: Session, experiment_id: str, replicate: int, weights: dict[str, str]
) -> dict[str, Any]:
    """What is known of a measurement that begins now."""
    return {
        "schema_version": SCHEMA_VERSION,
        "experiment_id": experiment_id,
        "session_id": session.session_id,
        "setup_id": session.setup_id,
        "replicate": replicate,
        "begun_unix_s": time.time(),
        "config": setting.plan.experiments[experiment_id].config,
        "environment": setting.environment,
        "weights": weights,
    }


def _measurement_record(
    setting: Setting, head: Mapping[str, Any], measured: Mapping[str, Any], warnings: Sequence[Mapping[str, str]]
) -> MeasurementRecord:
    """The record of a measured experiment; a failed one where the worker's reply does not fit."""
    whole = {**head, "failure": None, **measured, "warnings": [*measured["warnings"], *warnings]}
    try:
        return MeasurementRecord.from_plain(whole)
    except ValidationError as error:
        return MeasurementRecord.failed(head, _misfit(setting, whole, error))


def _misfit(setting: Setting, record: Mapping[str, Any], error: ValidationError) -> Failure:
    """The failure of an experiment whose record does not fit its type: a mistake of this program.

    The log keeps the record, so that what was measured is not lost, and the other experiments go on.
    """
    print(f"this record does not fit its type: {json.dumps(record, default=str)}", file=sys.stderr, flush=True)
    reason = f"the record does not fit its type ({first_error(error)}); please report it with the log"
    return Failure.of("record", "ValidationError", reason, setting.log)


def _other_environment(setting: Setting, calibration: SessionCalibration) -> dict[str, str] | None:
    """A warning where a session is measured with other packages than it was warmed up and calibrated with."""
    now = setting.environment["fingerprint"]
    if now == calibration.fingerprint:
        return None
    message = (
        f"calibrated with the packages of environment {calibration.fingerprint}, measured with those of {now}; "
        "delete the session's folder to calibrate again, or return to the other environment"
    )
    print(message, file=sys.stderr, flush=True)
    return warning("environment-changed", message)


def _with_libraries(setting: Setting, loaded: dict[str, Any]) -> dict[str, Any]:
    """The environment, with the versions that only a process with torch knows. Removes them from `loaded`."""
    return {**setting.environment, "libraries": loaded.pop("libraries")}


def _require_contents(setting: Setting) -> dict[str, str]:
    """Digests of the snapshots by role. The plan was drawn for them; all experiments of a setup agree on it.

    A model that could not be had has none.
    """
    planned = next(iter(setting.plan.experiments.values())).inputs
    every = {role: read_snapshot(folder) for role, folder in setting.snapshots.items()}
    snapshots = {role: snapshot for role, snapshot in every.items() if snapshot.refused is None}
    for role, snapshot in snapshots.items():
        require_content(snapshot, planned.get(role))
    return {role: snapshot.content_digest for role, snapshot in snapshots.items()}


def _check(setting: Setting) -> None:
    setting.limits.check_time()
    setting.limits.check_failures()


def _count(setting: Setting, what: str, failure: Failure | None) -> None:
    """Count an experiment or a setup that was tried."""
    _stop_if_asked(setting, what, failure)
    setting.limits.note(what, failure)


def _stop_if_asked(setting: Setting, what: str, failure: Failure | None) -> None:
    if failure is not None and setting.stop_on_failure:
        raise StudyStopped(
            f"{what} failed in stage {failure.stage}: {failure.error_class}: {failure.reason} "
            f"(log: {failure.log}; on_failure: stop)"
        )

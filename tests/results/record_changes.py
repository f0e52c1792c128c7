"""Changes to the record of a run, for `StudyFolder.change`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from llenergymeasure.records.measurement import MeasurementHead, MeasurementRecord
from llenergymeasure.records.metrics import METRICS
from llenergymeasure.records.validity import Failure

Change = Callable[[dict[str, Any]], None]


def fail(stage: str, error_class: str, reason: str) -> Change:
    """Turns a record into that of a run that gave no figures, as the manager writes it."""

    def change(record: dict[str, Any]) -> None:
        head = {name: record[name] for name in MeasurementHead.model_fields}
        failure = Failure.of(stage, error_class, reason, Path(f"results/logs/{stage}.log"))
        record.clear()
        record.update(MeasurementRecord.failed(head, failure).to_plain())

    return change


def ignore(path: str, observed: str) -> Change:
    """Makes a setting one that did not take effect."""

    def change(record: dict[str, Any]) -> None:
        record["status"] = "invalid"
        reason = {"code": "setting-ignored", "severity": "invalid", "message": f"{path} did not take effect"}
        record["validity"] = {"verdict": "invalid", "reasons": [reason]}
        record["evidence"][path] |= {"verdict": "ignored", "effective": None, "observed": observed}

    return change


def warn(code: str, message: str) -> Change:
    return lambda record: record["warnings"].append({"code": code, "message": message})


def doubt(code: str, message: str) -> Change:
    """Makes a run suspect."""

    def change(record: dict[str, Any]) -> None:
        reasons = [*record["validity"]["reasons"], {"code": code, "severity": "suspect", "message": message}]
        record["validity"] = {"verdict": "suspect", "reasons": reasons}

    return change


def without_energy(reason: str) -> Change:
    """A run that no meter watched."""

    def change(record: dict[str, Any]) -> None:
        record.update(energy=[], energy_source=None, phases=None, budget={})
        for name in record["metrics"]:
            if METRICS[name].energy or name == "baseline_share":
                record["metrics"][name] = None
                record["unknown"][name] = reason

    return change


def measured_by(source: str, device: str, machine: str | None) -> Change:
    """The joules of the window are of that device, on that machine."""

    def change(record: dict[str, Any]) -> None:
        record["environment"]["machine_id"] = machine
        record["energy_source"] = source
        for entry in record["energy"]:
            entry.update(source=source, device=device)

    return change

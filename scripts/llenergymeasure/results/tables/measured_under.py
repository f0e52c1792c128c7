"""What an experiment was measured with and on, and how two measurements of it differ."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields

from llenergymeasure.records.measurement import MeasurementRecord


@dataclass(frozen=True)
class Facts:
    """Distinct values over the replicates of one experiment that gave figures; empty where none did.

    environment: fingerprint of all packages; pipeline: git commit; devices: name and UUID of every accelerator that
        held parameters, or the CPU's name; models: content of the model's files; prompts: their digest
    """

    environment: frozenset[str] = frozenset()
    pipeline: frozenset[str] = frozenset()
    devices: frozenset[str] = frozenset()
    models: frozenset[str] = frozenset()
    prompts: frozenset[str] = frozenset()

    def differences(self, other: Facts) -> list[str]:
        """Names of the fields that are known on both sides and differ. Devices differ where none is the same."""
        names = []
        for name in (item.name for item in fields(self)):
            mine, theirs = getattr(self, name), getattr(other, name)
            # Which of a machine's boards a replicate gets is chance.
            same = mine & theirs if name == "devices" else mine == theirs
            if mine and theirs and not same:
                names.append(name)
        return names


def facts_by_experiment(records: Iterable[MeasurementRecord]) -> dict[str, Facts]:
    """experiment_id → its facts. Of each record only these are kept."""
    known: dict[str, dict[str, set[str]]] = {}
    for record in records:
        if record.status != "ok":
            continue
        mine = known.setdefault(record.experiment_id, {})
        for name, values in _facts(record).items():
            mine.setdefault(name, set()).update(value for value in values if value is not None)
    return {name: Facts(**{key: frozenset(values) for key, values in mine.items()}) for name, mine in known.items()}


def _facts(record: MeasurementRecord) -> dict[str, list[str | None]]:
    environment = record.environment
    devices = () if record.devices is None else record.devices.of_all_processes
    return {
        "environment": [environment.fingerprint],
        "pipeline": [environment.git_commit],
        "devices": [f"{device.name} {device.uuid}" for device in devices] or [environment.cpu],
        "models": [None if record.snapshot is None else record.snapshot.content_digest],
        "prompts": [None if record.prompts is None else record.prompts.digest],
    }

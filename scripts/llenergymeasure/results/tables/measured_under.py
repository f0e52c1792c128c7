"""What an experiment was measured with and on, and how two measurements of it differ."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields

from llenergymeasure.records.ledger import LedgerEntry
from llenergymeasure.records.machine import EnvironmentRecord
from llenergymeasure.records.measurement import MeasurementRecord
from llenergymeasure.records.meters import device_names_are_of


@dataclass(frozen=True)
class Facts:
    """Distinct values over the replicates of one experiment that gave figures; empty where none did.

    environment: fingerprint of all packages; pipeline: git commit; machines: ids of machines that have one; devices:
        name and UUID of every accelerator that held parameters, or the CPU's name; models: content of the model's
        files; prompts: their digest
    instruments: replicate → what its joules were read from; None where that cannot be told from another of its kind
    boundaries: source and domain of every entry that is in the joules
    """

    environment: frozenset[str] = frozenset()
    pipeline: frozenset[str] = frozenset()
    machines: frozenset[str] = frozenset()
    devices: frozenset[str] = frozenset()
    models: frozenset[str] = frozenset()
    prompts: frozenset[str] = frozenset()
    instruments: Mapping[int, frozenset[str] | None] = field(default_factory=dict)
    boundaries: frozenset[str] = frozenset()

    def differences(self, other: Facts) -> list[str]:
        """Names of the fields that are known on both sides and differ. Devices differ where none is the same."""
        names = []
        for name in _COMPARED:
            mine, theirs = getattr(self, name), getattr(other, name)
            # Which of a machine's boards, or of a cluster's machines, a replicate gets is chance.
            same = mine & theirs if name in _CHANCE else mine == theirs
            if mine and theirs and not same:
                names.append(name)
        return names


_COMPARED = tuple(item.name for item in fields(Facts) if item.name not in ("instruments", "boundaries"))
_CHANCE = ("machines", "devices")


def facts_by_experiment(records: Iterable[MeasurementRecord]) -> dict[str, Facts]:
    """experiment_id → its facts. Of each record only these are kept."""
    known: dict[str, dict[str, set[str]]] = {}
    instruments: dict[str, dict[int, frozenset[str] | None]] = {}
    for record in records:
        if record.status != "ok":
            continue
        mine = known.setdefault(record.experiment_id, {})
        for name, values in _facts(record).items():
            mine.setdefault(name, set()).update(value for value in values if value is not None)
        instruments.setdefault(record.experiment_id, {})[record.replicate] = instruments_of_run(record)
    return {
        name: Facts(**{key: frozenset(values) for key, values in mine.items()}, instruments=instruments[name])
        for name, mine in known.items()
    }


def instruments_of_run(record: MeasurementRecord) -> frozenset[str] | None:
    """What gave the joules of the window, one text per device and domain; None where one of them has no known name.

    A board's UUID names it everywhere. A CPU package is `package-0` on every machine, so its name needs the machine's
    id. An estimate reads no instrument: it depends on the processor's name.
    """
    names = [instrument_name(entry, record.environment) for entry in entries_of_window(record)]
    return None if None in names else frozenset(name for name in names if name is not None)


def instrument_name(entry: LedgerEntry, environment: EnvironmentRecord) -> str | None:
    """None where another instrument may have the same name: a CPU package of a machine that has no id."""
    scope = device_names_are_of(entry.source)
    if scope == "machine" and environment.machine_id is None:
        return None
    owner = {"world": "", "machine": environment.machine_id, "model": environment.cpu}[scope]
    return f"{owner} {entry.device} {entry.domain}".strip()


def entries_of_window(record: MeasurementRecord) -> list[LedgerEntry]:
    """The known entries of the measured window that are inside the study's boundary."""
    of_window = (entry for entry in record.energy if entry.phase == "generate" and entry.in_boundary)
    return [entry for entry in of_window if entry.energy_j is not None]


def _facts(record: MeasurementRecord) -> dict[str, list[str | None]]:
    environment = record.environment
    devices = () if record.devices is None else record.devices.of_all_processes
    return {
        "environment": [environment.fingerprint],
        "pipeline": [environment.git_commit],
        "machines": [environment.machine_id],
        "devices": [f"{device.name} {device.uuid}" for device in devices] or [environment.cpu],
        "models": [None if record.snapshot is None else record.snapshot.content_digest],
        "prompts": [None if record.prompts is None else record.prompts.digest],
        "boundaries": [f"{entry.source} {entry.domain}" for entry in entries_of_window(record)],
    }

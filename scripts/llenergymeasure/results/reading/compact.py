"""What the report needs of a record: a line of measurements.jsonl has 30 KB, and a study has tens of thousands."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TypeVar

from pydantic_core import to_json

from llenergymeasure.energy import primary_energy
from llenergymeasure.records.evidence import SettingEvidence
from llenergymeasure.records.machine import Devices, EnvironmentRecord, Meters
from llenergymeasure.records.measurement import (
    BudgetRow,
    MeasurementRecord,
    OutputMatch,
    PromptsRecord,
    SnapshotRecord,
    WeightStorage,
)
from llenergymeasure.records.validity import Failure, Status, Validity, WarningRecord

ENERGY = "energy_per_output_token_j"
Part = TypeVar("Part")


@dataclass(frozen=True, slots=True)
class CompactRecord:
    """A measurement without what the tables already hold. The names are the record's, except for:

    energy_j, budget: J per output token, and its budget
    phases_agree: whether the two ways of finding the prefill energy agree; None where they were not compared
    evidence: empty where the report does not unfold it
    meter_uncertainty: u(E)/E of the measured window, None where not stated
    """

    experiment_id: str
    session_id: str
    setup_id: str
    replicate: int
    status: Status
    failure: Failure | None
    validity: Validity | None
    unknown: Mapping[str, str]
    warnings: tuple[WarningRecord, ...]
    output_match: OutputMatch | None
    environment: EnvironmentRecord
    devices: Devices | None
    meters: Meters | None
    snapshot: SnapshotRecord | None
    prompts: PromptsRecord | None
    energy_j: float | None
    budget: tuple[BudgetRow, ...]
    phases_agree: bool | None
    evidence: Mapping[str, SettingEvidence]
    meter_uncertainty: float | None
    weight_storage: WeightStorage | None


class Keeper:
    """Makes compact records from whole ones. Equal parts of several records are held once.

    evidence_of: experiments whose evidence is kept
    """

    def __init__(self, evidence_of: Collection[str]) -> None:
        self._evidence_of = frozenset(evidence_of)
        self._once: dict[bytes, object] = {}

    def __call__(self, record: MeasurementRecord) -> CompactRecord:
        has_evidence = record.experiment_id in self._evidence_of
        return CompactRecord(
            experiment_id=record.experiment_id,
            session_id=record.session_id,
            setup_id=record.setup_id,
            replicate=record.replicate,
            status=record.status,
            failure=self._shared(record.failure),
            validity=self._shared(record.validity),
            unknown=self._shared(record.unknown),
            warnings=self._shared(record.warnings),
            output_match=self._shared(record.output_match),
            environment=self._shared(record.environment),
            devices=self._shared(record.devices),
            meters=self._shared(record.meters),
            snapshot=self._shared(record.snapshot),
            prompts=self._shared(record.prompts),
            energy_j=record.metrics.get(ENERGY),
            budget=record.budget.get(ENERGY, ()),
            phases_agree=None if record.phases is None else record.phases.agrees,
            evidence=self._shared(record.evidence) if has_evidence else {},
            meter_uncertainty=_meter_uncertainty(record),
            weight_storage=self._shared(record.weight_storage),
        )

    def _shared(self, part: Part) -> Part:
        key = type(part).__name__.encode() + to_json(part)
        return self._once.setdefault(key, part)  # type: ignore[return-value]


def _meter_uncertainty(record: MeasurementRecord) -> float | None:
    if record.status != "ok":
        return None
    energy = primary_energy(record.energy, "generate")
    if energy.standard_uncertainty_j is None or not energy.energy_j:
        return None
    return energy.standard_uncertainty_j / energy.energy_j

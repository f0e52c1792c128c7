"""load.json: what loading a model in one setup cost, and the result."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from llenergymeasure.records.evidence import SettingEvidence
from llenergymeasure.records.ledger import LedgerEntry
from llenergymeasure.records.machine import Devices, EnvironmentRecord, Meters
from llenergymeasure.records.measurement import QuantizedRecord
from llenergymeasure.records.record import Record
from llenergymeasure.records.schema import SchemaVersion
from llenergymeasure.records.validity import Failure, Status, WarningRecord


class LoadMemory(Record):
    """Bytes over all processes: the highest while loading, and of parameters and buffers afterwards."""

    load_peak_bytes: int
    resident_bytes: int
    source: str


class CompileRecord(Record):
    """The first generation of a setup that compiles. `counts`: what torch's compiler counted."""

    compile_s: float
    counts: dict[str, Any]


class LoadRecord(Record):
    """One setup. For one that failed, `failure` says why, and what is not known is None or empty.

    energy: the ledger of loading and compiling; compile: None where the setup does not compile
    parameters: how many numbers the model has; startup_s: from starting the worker until the model was loaded
    """

    schema_version: SchemaVersion
    setup_id: str
    config: dict[str, Any]
    environment: EnvironmentRecord
    weights: dict[str, str]
    status: Status
    failure: Failure | None
    load_s: float | None = None
    energy: tuple[LedgerEntry, ...] = ()
    memory: LoadMemory | None = None
    quantized_weights: QuantizedRecord | None = None
    evidence: dict[str, SettingEvidence] = Field(default_factory=dict)
    devices: Devices | None = None
    meters: Meters | None = None
    warnings: tuple[WarningRecord, ...] = ()
    parameters: int | None = None
    worker_pid: int | None = None
    startup_s: float | None = None
    compile: CompileRecord | None = None

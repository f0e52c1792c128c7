"""What the runs were measured with and on, and whether that was the same for all of them.

Reads raw records, as `study_reading` does.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from llenergymeasure.records.labels import value_label
from llenergymeasure.results.reading.compact import CompactRecord

LIBRARIES = {"cuda": "CUDA", "cudnn": "cuDNN", "nccl": "NCCL"}


@dataclass(frozen=True)
class Fact:
    """One thing and its distinct values over all runs. mixed: there should be one value, and there are several"""

    name: str
    values: list[str]
    mixed: bool


def environment_facts(records: Sequence[CompactRecord]) -> list[Fact]:
    """Machine and versions, which must be the same for all runs; then meters, models and prompts, which need not be."""
    machine = _distinct_values(fact for record in records for fact in _machine(record))
    material = _distinct_values(fact for record in records for fact in _material(record))
    return [
        *(Fact(name, values, len(values) > 1) for name, values in machine.items()),
        *(Fact(name, values, False) for name, values in material.items()),
    ]


def machine_names(records: Sequence[CompactRecord]) -> list[str]:
    """Names of the accelerators that held parameters, or of the CPU, over all runs."""
    names: dict[str, None] = {}
    for record in records:
        cpu = record.environment.cpu
        names |= dict.fromkeys((cpu,) if record.devices is None else record.devices.names(cpu))
    return list(names)


def _machine(record: CompactRecord) -> Iterator[tuple[str, str]]:
    environment = record.environment
    yield "CPU", environment.cpu
    yield "Host", environment.hostname
    yield "System", environment.system
    dirty = " with uncommitted changes" if environment.git_dirty else ""
    yield "Git commit of the pipeline", f"{_text(environment.git_commit)}{dirty}"
    yield "SHA-256 of models.lock.yaml", _text(environment.models_lock_sha256)
    yield "Environment (fingerprint of all packages)", environment.fingerprint
    yield "Python", environment.python
    for name, version in environment.packages.items():
        yield name, version or "not installed"
    if environment.libraries is not None:
        for name, version in environment.libraries.to_plain().items():
            yield LIBRARIES[name], version or "not in this build of torch"


def _material(record: CompactRecord) -> Iterator[tuple[str, str]]:
    if record.devices is not None:
        yield "Devices that held the model", _pairs(record.devices.to_plain())
    if record.meters is not None:
        for device in record.meters.devices:
            facts = {name: value for name, value in device.items() if name != "meter"}
            yield f"Meter {device['meter']}", _pairs(facts)
        for refused in record.meters.refused:
            yield "Meters that do not work here", _pairs(refused.to_plain())
    if (snapshot := record.snapshot) is not None:
        yield "Models", f"{snapshot.model} at {snapshot.revision or 'no revision'}, content {snapshot.content_digest}"
    if record.prompts is not None:
        yield "Prompts, SHA-256", record.prompts.digest


def _distinct_values(facts: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    rows: dict[str, dict[str, None]] = {}
    for name, value in facts:
        rows.setdefault(name, {})[value] = None
    return {name: list(values) for name, values in rows.items()}


def _pairs(mapping: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value_label(value)}" for name, value in mapping.items() if value is not None)


def _text(value: Any) -> str:
    return "unknown" if value is None else value_label(value)

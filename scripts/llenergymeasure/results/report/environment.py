"""What the runs were measured with and on, and whether that was the same for all of them.

Reads raw records, as `study_reading` does.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from llenergymeasure.records.labels import value_label

LIBRARIES = {"cuda": "CUDA", "cudnn": "cuDNN", "nccl": "NCCL"}


@dataclass(frozen=True)
class Fact:
    """One thing and its distinct values over all runs. mixed: there should be one value, and there are several"""

    name: str
    values: list[str]
    mixed: bool


def environment_facts(records: Sequence[Mapping[str, Any]]) -> list[Fact]:
    """Machine and versions, which must be the same for all runs; then meters, models and prompts, which need not be."""
    machine = _distinct_values(fact for record in records for fact in _machine(record))
    material = _distinct_values(fact for record in records for fact in _material(record))
    return [
        *(Fact(name, values, len(values) > 1) for name, values in machine.items()),
        *(Fact(name, values, False) for name, values in material.items()),
    ]


def machine_names(records: Sequence[Mapping[str, Any]]) -> list[str]:
    """Names of the accelerators that held parameters, or of the CPU, over all runs."""
    names: dict[str, None] = {}
    for record in records:
        devices = (record.get("devices") or {}).get("devices", [])
        for device in devices:
            names[str(device.get("name"))] = None
        if not devices:
            names[str(record["environment"].get("cpu") or "unknown CPU")] = None
    return list(names)


def _machine(record: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    environment = record["environment"]
    yield "CPU", _text(environment.get("cpu"))
    yield "Host", _text(environment.get("hostname"))
    yield "System", _text(environment.get("system"))
    dirty = " with uncommitted changes" if environment.get("git_dirty") else ""
    yield "Git commit of the pipeline", f"{_text(environment.get('git_commit'))}{dirty}"
    yield "SHA-256 of models.lock.yaml", _text(environment.get("models_lock_sha256"))
    yield "Environment (fingerprint of all packages)", _text(environment.get("fingerprint"))
    yield "Python", _text(environment.get("python"))
    for name, version in (environment.get("packages") or {}).items():
        yield name, version or "not installed"
    for name, version in (environment.get("libraries") or {}).items():
        yield LIBRARIES.get(name, name), version or "torch is built without it"


def _material(record: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if record.get("devices"):
        yield "Devices that held the model", _pairs(record["devices"])
    meters = record.get("meters") or {}
    for device in meters.get("devices", []):
        yield f"Meter {device.get('meter')}", _pairs({name: value for name, value in device.items() if name != "meter"})
    for refusal in meters.get("refused", []):
        yield "Meters that do not work here", _pairs(refusal)
    snapshot = record.get("snapshot")
    if snapshot:
        yield (
            "Models",
            f"{snapshot['model']} at {snapshot.get('revision') or 'no revision'}, "
            f"content {_text(snapshot.get('content_digest'))}",
        )
    if record.get("prompts"):
        yield "Prompts, SHA-256", _text(record["prompts"].get("digest"))


def _distinct_values(facts: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    rows: dict[str, dict[str, None]] = {}
    for name, value in facts:
        rows.setdefault(name, {})[value] = None
    return {name: list(values) for name, values in rows.items()}


def _pairs(mapping: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value_label(value)}" for name, value in mapping.items() if value is not None)


def _text(value: Any) -> str:
    return "unknown" if value is None else value_label(value)

"""What it took to have a model in memory, from the load records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from llenergymeasure.energy import LedgerEntry, primary_energy


@dataclass(frozen=True)
class Joules:
    """Energy of one phase. None exactly when `reason` says why."""

    energy_j: float | None
    standard_uncertainty_j: float | None
    source: str | None
    reason: str | None


@dataclass(frozen=True)
class LoadCost:
    """One setup. Times in seconds, memory in bytes; None is unknown, or, for compiling, that nothing was compiled."""

    load_s: float | None
    load: Joules
    compile_s: float | None
    compile: Joules | None
    load_peak_bytes: int | None
    resident_bytes: int | None


def load_cost(record: Mapping[str, Any]) -> LoadCost:
    """The cost in a load record; a setup that failed cost an unknown amount."""
    memory = record.get("memory") or {}
    compiled = record.get("compile")
    return LoadCost(
        load_s=record.get("load_s"),
        load=phase_energy(record, "load"),
        compile_s=None if compiled is None else compiled["compile_s"],
        compile=None if compiled is None else phase_energy(record, "compile"),
        load_peak_bytes=memory.get("load_peak_bytes"),
        resident_bytes=memory.get("resident_bytes"),
    )


def phase_energy(record: Mapping[str, Any], phase: str) -> Joules:
    """Energy of a phase in the ledger of a record: measured entries, or estimated ones where there are none."""
    if record["status"] == "failed":
        return Joules(None, None, None, "it failed")
    found = primary_energy((LedgerEntry.from_dict(entry) for entry in record["energy"]), phase)
    return Joules(found.energy_j, found.standard_uncertainty_j, found.source, found.reason)

"""What loading a model cost, from the load records."""

from __future__ import annotations

from dataclasses import dataclass

from llenergymeasure.energy import primary_energy
from llenergymeasure.records.setup import LoadRecord
from llenergymeasure.results.statistics.comparable import account_from_parts


@dataclass(frozen=True)
class Joules:
    """Energy of one phase. None exactly when `reason` says why.

    account: its source and boundary, as `comparable.account_from_parts` gives them
    """

    energy_j: float | None
    standard_uncertainty_j: float | None
    source: str | None
    reason: str | None
    account: str | None = None


@dataclass(frozen=True)
class LoadCost:
    """One setup. Times in seconds, memory in bytes; None is unknown, or, for compiling, that nothing was compiled."""

    load_s: float | None
    load: Joules
    compile_s: float | None
    compile: Joules | None
    load_peak_bytes: int | None
    resident_bytes: int | None


def load_cost(record: LoadRecord) -> LoadCost:
    """The cost in a load record; a setup that failed cost an unknown amount."""
    memory, compiled = record.memory, record.compile
    return LoadCost(
        load_s=record.load_s,
        load=_phase_energy(record, "load"),
        compile_s=None if compiled is None else compiled.compile_s,
        compile=None if compiled is None else _phase_energy(record, "compile"),
        load_peak_bytes=None if memory is None else memory.load_peak_bytes,
        resident_bytes=None if memory is None else memory.resident_bytes,
    )


def _phase_energy(record: LoadRecord, phase: str) -> Joules:
    """Energy of a phase in the ledger of a record: measured entries, or estimated ones where there are none."""
    if record.status == "failed":
        return Joules(None, None, None, "it failed")
    energy = primary_energy(record.energy, phase)
    account = account_from_parts(energy.source, energy.boundary)
    return Joules(energy.energy_j, energy.standard_uncertainty_j, energy.source, energy.reason, account)

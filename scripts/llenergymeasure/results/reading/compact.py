"""What the report needs of a record: a line of measurements.jsonl has 30 KB, and a study tens of thousands of them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import orjson

from llenergymeasure.results.tables.load_cost import phase_energy

ENERGY = "energy_per_output_token_j"
_PLAIN = ("experiment_id", "session_id", "setup_id", "replicate", "status")
# Alike in many runs.
_SHARED = (
    "failure",
    "validity",
    "unknown",
    "warnings",
    "output_match",
    "environment",
    "devices",
    "meters",
    "snapshot",
    "prompts",
)


class Keeper:
    """Makes small records of whole ones; what is alike in several is there once.

    evidence_of: experiments whose evidence is kept
    """

    def __init__(self, evidence_of: Collection[str]) -> None:
        self._evidence_of = frozenset(evidence_of)
        self._once: dict[bytes, Any] = {}

    def __call__(self, record: Mapping[str, Any]) -> dict[str, Any]:
        """Besides the record's own keys: `meter_uncertainty`, u(E)/E of the measured window, None where not stated."""
        has_evidence = record["experiment_id"] in self._evidence_of
        budget = record["budget"].get(ENERGY)
        phases = record["phases"]
        return {
            **{name: record[name] for name in _PLAIN},
            **{name: self._shared(record[name]) for name in _SHARED if name in record},
            "metrics": {ENERGY: record["metrics"].get(ENERGY)},
            "budget": {ENERGY: budget} if budget else {},
            "phases": None if phases is None else self._shared({"agrees": phases["agrees"]}),
            "evidence": self._shared(record["evidence"]) if has_evidence else {},
            "meter_uncertainty": _meter_uncertainty(record),
        }

    def _shared(self, value: Any) -> Any:
        return self._once.setdefault(orjson.dumps(value), value)


def _meter_uncertainty(record: Mapping[str, Any]) -> float | None:
    if record["status"] != "ok":
        return None
    joules = phase_energy(record, "generate")
    if joules.standard_uncertainty_j is None or not joules.energy_j:
        return None
    return joules.standard_uncertainty_j / joules.energy_j

"""What was seen beside the energy of a window that makes its figures doubtful."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Literal

Severity = Literal["suspect", "invalid"]


@dataclass(frozen=True)
class Finding:
    """One reason to doubt a window. `suspect`: read the figure with care; `invalid`: it is not what was asked for."""

    code: str
    severity: Severity
    message: str

    def to_dict(self) -> dict[str, str]:
        return asdict(self)


def device_lost(uuid: str, phase: str) -> Finding:
    return Finding("device-lost", "invalid", f"{uuid}: the driver lost the device in phase {phase}")


def trace_incomplete(trouble: str | None) -> list[Finding]:
    """Of a thread that died or stalled: the edges still count, but noise, throttling and clocks were not seen."""
    return [] if trouble is None else [Finding("trace-incomplete", "suspect", trouble)]

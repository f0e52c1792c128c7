"""Findings that every meter may raise beside the energy of a window."""

from __future__ import annotations

from llenergymeasure.energy.integration.step_aliasing import ALIASING
from llenergymeasure.energy.uncertainty import expanded
from llenergymeasure.records.finding import Finding
from llenergymeasure.records.ledger import LedgerEntry

# The resolution that studies ask for by default.
ALIASED_SHARE = 0.01


def device_lost(uuid: str, phase: str) -> Finding:
    return Finding("device-lost", f"{uuid}: the driver lost the device in phase {phase}")


def trace_incomplete(trouble: str | None) -> list[Finding]:
    """The finding of a sampler that died or stalled: the edges still count; noise, throttling, clocks are missing."""
    return [] if trouble is None else [Finding("trace-incomplete", trouble)]


def sensor_aliased(entry: LedgerEntry) -> list[Finding]:
    """The finding of steps that keep step with the sensor, so that its trace does not tell what it misses of them."""
    unknown_j = expanded([component for component in entry.components if component.name.startswith(ALIASING)])
    if not entry.energy_j or unknown_j <= ALIASED_SHARE * entry.energy_j:
        return []
    message = (
        f"{entry.device}: the steps of phase {entry.phase} keep step with the sensor, which sees a part of each "
        f"period: its energy is uncertain by ±{unknown_j / entry.energy_j:.1%} for that alone"
    )
    return [Finding("sensor-aliased", message)]

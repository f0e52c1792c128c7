"""Findings that every meter may raise beside the energy of a window."""

from __future__ import annotations

from llenergymeasure.records.finding import Finding


def device_lost(uuid: str, phase: str) -> Finding:
    return Finding("device-lost", f"{uuid}: the driver lost the device in phase {phase}")


def trace_incomplete(trouble: str | None) -> list[Finding]:
    """The finding of a sampler that died or stalled: the edges still count; noise, throttling, clocks are missing."""
    return [] if trouble is None else [Finding("trace-incomplete", trouble)]

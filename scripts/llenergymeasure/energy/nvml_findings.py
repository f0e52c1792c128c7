"""What the samples and the states around a window say about it: findings, and facts for the record."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

from llenergymeasure.energy.findings import Finding
from llenergymeasure.energy.nvml_device import NvmlDevice
from llenergymeasure.energy.nvml_state import BoardState
from llenergymeasure.energy.power_sampler import PowerReading

# The SM clock at the end of a window, against that at its beginning: medians of the outer thirds.
CLOCK_FALL = 0.05
FEWEST_SAMPLES = 6


def lost(uuid: str, phase: str) -> Finding:
    return Finding("device-lost", "invalid", f"{uuid}: the driver lost the device in phase {phase}")


def findings_of(
    uuid: str, phase: str, readings: Sequence[PowerReading], before: BoardState | None, after: BoardState | None
) -> list[Finding]:
    """What makes the window of one board doubtful."""
    found = [_throttling(uuid, phase, readings), _falling_clock(uuid, phase, readings)]
    if before is not None and after is not None:
        found += [_ecc(uuid, phase, before, after), _foreign(uuid, phase, before, after)]
    return [finding for finding in found if finding is not None]


def facts_of(
    device: NvmlDevice, readings: Sequence[PowerReading], before: BoardState | None, after: BoardState | None
) -> dict[str, Any]:
    """What was looked at, for the record; None where the board does not tell."""
    temperatures = [reading.temperature_c for reading in readings if reading.temperature_c is not None]
    sm_clocks = [reading.sm_clock_mhz for reading in readings if reading.sm_clock_mhz is not None]
    memory_clocks = [reading.memory_clock_mhz for reading in readings if reading.memory_clock_mhz is not None]
    return {
        "temperature_first_c": temperatures[0] if temperatures else None,
        "temperature_last_c": temperatures[-1] if temperatures else None,
        "temperature_max_c": max(temperatures, default=None),
        "sm_clock_min_mhz": min(sm_clocks, default=None),
        "sm_clock_median_mhz": statistics.median(sm_clocks) if sm_clocks else None,
        "memory_clock_min_mhz": min(memory_clocks, default=None),
        "memory_clock_median_mhz": statistics.median(memory_clocks) if memory_clocks else None,
        "samples": len(readings),
        "power_reading": device.power.name if device.power else None,
        "power_limit_w": after.power_limit_w if after else None,
        "persistence_mode": after.persistence_mode if after else None,
        "corrected_ecc_errors": _rise(before, after, "corrected_ecc_errors"),
        "uncorrected_ecc_errors": _rise(before, after, "uncorrected_ecc_errors"),
        "hidden_processes": after.hidden_processes if after else None,
        "missing_sensors": {**device.missing, **(after.missing if after else {})},
    }


def _throttling(uuid: str, phase: str, readings: Sequence[PowerReading]) -> Finding | None:
    throttled = [reading.throttle_reasons for reading in readings if reading.throttle_reasons]
    if not throttled:
        return None
    names = ", ".join(sorted({name for reasons in throttled for name in reasons}))
    share = len(throttled) / len(readings)
    return Finding(
        "throttled", "suspect", f"{uuid} was throttled in {share:.0%} of the samples of phase {phase}: {names}"
    )


def _falling_clock(uuid: str, phase: str, readings: Sequence[PowerReading]) -> Finding | None:
    clocks = [reading.sm_clock_mhz for reading in readings if reading.sm_clock_mhz is not None]
    if len(clocks) < FEWEST_SAMPLES:
        return None
    third = len(clocks) // 3
    first, last = statistics.median(clocks[:third]), statistics.median(clocks[-third:])
    if last >= (1 - CLOCK_FALL) * first:
        return None
    message = (
        f"{uuid}: the SM clock fell from {first:.0f} to {last:.0f} MHz in phase {phase}, by {1 - last / first:.0%}"
    )
    return Finding("clock-fell", "suspect", message)


def _ecc(uuid: str, phase: str, before: BoardState, after: BoardState) -> Finding | None:
    rise = _rise(before, after, "uncorrected_ecc_errors")
    if not rise:
        return None
    return Finding("ecc-errors", "invalid", f"{uuid}: {rise} uncorrected ECC errors in phase {phase}")


def _foreign(uuid: str, phase: str, before: BoardState, after: BoardState) -> Finding | None:
    pids = sorted({*(before.foreign_pids or ()), *(after.foreign_pids or ())})
    if not pids:
        return None
    listed = ", ".join(str(pid) for pid in pids)
    return Finding("foreign-processes", "suspect", f"{uuid} was shared in phase {phase} with the processes {listed}")


def _rise(before: BoardState | None, after: BoardState | None, name: str) -> int | None:
    earlier, later = getattr(before, name, None), getattr(after, name, None)
    return None if earlier is None or later is None else later - earlier

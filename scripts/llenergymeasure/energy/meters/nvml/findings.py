"""What the samples and the board's states say about a window: findings, and facts for the record."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from llenergymeasure.energy.meters.nvml.device import NvmlDevice
from llenergymeasure.energy.meters.nvml.processes import OtherProcess
from llenergymeasure.energy.meters.nvml.state import BoardState
from llenergymeasure.energy.meters.nvml.throttle import POWER_CAP, Throttled, throttling
from llenergymeasure.energy.sampling.loop import PowerReading
from llenergymeasure.records.finding import Finding

# The SM clock at the end of a window, against that at its beginning: medians of the outer thirds.
CLOCK_FALL = 0.05
FEWEST_SAMPLES = 6
# Clocks held down for less of a window than the resolution that studies ask for by default do not show in its figures.
THROTTLED_SHARE = 0.01
# A compositor that draws now and then stays below; a program that computes does not.
FOREIGN_SM_PERCENT = 2.0


def window_findings(
    uuid: str, phase: str, readings: Sequence[PowerReading], before: BoardState | None, after: BoardState | None
) -> list[Finding]:
    """What makes the window of one board doubtful."""
    findings = [
        _throttled(uuid, phase, readings, before, after),
        _capped(uuid, phase, readings, before, after),
        _falling_clock(uuid, phase, readings),
    ]
    if before is not None and after is not None:
        findings += [_ecc(uuid, phase, before, after), _foreign(uuid, phase, before, after)]
    return [finding for finding in findings if finding is not None]


def hidden_processes(uuid: str, state: BoardState) -> str | None:
    """What to warn of where a board that holds the model lists none of our processes; the same text in every window."""
    if state.processes is None or state.processes.ids_visible:
        return None
    return (
        f"{uuid}: the driver lists other process ids than this process sees, so it is not known whether other "
        "programs use the board, nor how much of its memory is ours (in a container: docker run --pid=host)"
    )


def window_facts(
    device: NvmlDevice, readings: Sequence[PowerReading], before: BoardState | None, after: BoardState | None
) -> dict[str, Any]:
    """What was read of the board, for the record; None where the board does not report it."""
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
        "power_limit_default_w": after.power_limit_default_w if after else None,
        "throttled": {reason: asdict(throttled) for reason, throttled in _shares(readings, before, after).items()},
        "persistence_mode": after.persistence_mode if after else None,
        "corrected_ecc_errors": _rise(before, after, "corrected_ecc_errors"),
        "uncorrected_ecc_errors": _rise(before, after, "uncorrected_ecc_errors"),
        **_process_facts(after),
        "missing_sensors": {**device.missing, **(after.missing if after else {})},
    }


def _process_facts(after: BoardState | None) -> dict[str, Any]:
    processes = after.processes if after else None
    lists_none = (after.missing.get("processes") if after else None) or "the board was not looked at"
    return {
        "processes_told": None if processes is None else processes.ids_visible,
        "other_processes": None if processes is None else [asdict(other) for other in processes.others],
        "hidden_processes": None if processes is None else processes.hidden,
        "process_memory_bytes": None if processes is None else processes.own_memory_bytes,
        "process_memory_reason": lists_none if processes is None else processes.own_memory_reason,
        "memory_used_bytes": after.memory_used_bytes if after else None,
    }


def _shares(
    readings: Sequence[PowerReading], before: BoardState | None, after: BoardState | None
) -> dict[str, Throttled]:
    if before is None or after is None:
        return throttling(readings, {}, {}, 0.0)
    return throttling(readings, before.throttled_s or {}, after.throttled_s or {}, after.time_s - before.time_s)


def _throttled(
    uuid: str, phase: str, readings: Sequence[PowerReading], before: BoardState | None, after: BoardState | None
) -> Finding | None:
    """Slowed by heat, by the hardware, by a power brake or by another board. A power cap is not such a disturbance."""
    causes = [
        f"{reason} {held.share:.0%} of the time ({_by(held)})"
        for reason, held in _shares(readings, before, after).items()
        if reason != POWER_CAP and held.share > THROTTLED_SHARE
    ]
    if not causes:
        return None
    return Finding("throttled", f"{uuid} was held back in phase {phase}: {'; '.join(causes)}")


def _capped(
    uuid: str, phase: str, readings: Sequence[PowerReading], before: BoardState | None, after: BoardState | None
) -> Finding | None:
    """A cap at the board's own limit is a fact, as many boards always work so; a lowered limit is worth saying."""
    held = _shares(readings, before, after).get(POWER_CAP)
    if held is None or held.share <= THROTTLED_SHARE or after is None or not limit_is_lowered(after):
        return None
    message = (
        f"{uuid} was at its power limit {held.share:.0%} of phase {phase} ({_by(held)}): {after.power_limit_w:g} W, "
        f"the board's default is {after.power_limit_default_w:g} W"
    )
    return Finding("power-limit-lowered", message)


def _by(held: Throttled) -> str:
    return f"by {'its counter' if held.by == 'counter' else held.by}"


def limit_is_lowered(state: BoardState) -> bool:
    """Whether the board's power limit is below its default."""
    limit_w, default_w = state.power_limit_w, state.power_limit_default_w
    return limit_w is not None and default_w is not None and limit_w < default_w


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
    return Finding("clock-fell", message)


def _ecc(uuid: str, phase: str, before: BoardState, after: BoardState) -> Finding | None:
    rise = _rise(before, after, "uncorrected_ecc_errors")
    if not rise:
        return None
    return Finding("ecc-errors", f"{uuid}: {rise} uncorrected ECC errors in phase {phase}")


def _foreign(uuid: str, phase: str, before: BoardState, after: BoardState) -> Finding | None:
    """The processes that used the SMs; where the driver does not report who did, those that could have."""
    if after.processes is None or before.processes is None:
        return None
    others = after.processes.others
    using = [f"{other.pid} ({other.sm_percent:.0f} %)" for other in others if uses_sms(other)]
    if using:
        message = f"{uuid} was shared in phase {phase} with processes that used its SMs: {', '.join(using)}"
        return Finding("foreign-processes", message)
    unknown = {other.pid for other in (*before.processes.others, *others) if other.sm_percent is None and other.compute}
    if not unknown:
        return None
    listed = ", ".join(str(pid) for pid in sorted(unknown))
    message = f"{uuid} was shared in phase {phase} with processes whose use the driver does not report: {listed}"
    return Finding("foreign-processes", message)


def uses_sms(other: OtherProcess) -> bool:
    """Whether a process computes on the board, by the driver's samples."""
    return other.sm_percent is not None and other.sm_percent > FOREIGN_SM_PERCENT


def _rise(before: BoardState | None, after: BoardState | None, name: str) -> int | None:
    earlier, later = getattr(before, name, None), getattr(after, name, None)
    return None if earlier is None or later is None else later - earlier

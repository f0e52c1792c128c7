"""How long the driver held a board's clocks down, and for what reason: its cumulative counters, else samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pynvml

from llenergymeasure.energy.power_sampler import PowerReading

POWER_CAP = "sw_power_cap"
# Clocks event reasons that mean "slower than it could be". An idle board or clocks that somebody set are
# none.
REASON_BITS = {
    POWER_CAP: pynvml.nvmlClocksEventReasonSwPowerCap,
    "hw_slowdown": pynvml.nvmlClocksEventReasonHwSlowdown,
    "sync_boost": pynvml.nvmlClocksEventReasonSyncBoost,
    "sw_thermal_slowdown": pynvml.nvmlClocksEventReasonSwThermalSlowdown,
    "hw_thermal_slowdown": pynvml.nvmlClocksEventReasonHwThermalSlowdown,
    "hw_power_brake_slowdown": pynvml.nvmlClocksEventReasonHwPowerBrakeSlowdown,
}
# Nanoseconds since the driver was loaded. Heat is asked for by its older number: those of the three newest fields have
# moved (251 to 253 in drivers 570 and early 580, 269 to 271 since), and the old places hold settings today.
COUNTER_FIELDS = {
    POWER_CAP: pynvml.NVML_FI_DEV_CLOCKS_EVENT_REASON_SW_POWER_CAP,
    "sync_boost": pynvml.NVML_FI_DEV_CLOCKS_EVENT_REASON_SYNC_BOOST,
    "sw_thermal_slowdown": pynvml.NVML_FI_DEV_PERF_POLICY_THERMAL,
    "hw_thermal_slowdown": pynvml.NVML_FI_DEV_CLOCKS_EVENT_REASON_HW_THERM_SLOWDOWN,
    "hw_power_brake_slowdown": pynvml.NVML_FI_DEV_CLOCKS_EVENT_REASON_HW_POWER_BRAKE_SLOWDOWN,
}
_WIDE = (pynvml.NVML_VALUE_TYPE_UNSIGNED_LONG, pynvml.NVML_VALUE_TYPE_UNSIGNED_LONG_LONG)
# A counter cannot gain more than the time that has passed, but for the time the two readings take.
READING_S = 0.1


@dataclass(frozen=True)
class Throttled:
    """The share of a window in which a reason held the clocks down, and what says so: `counter` or `samples`."""

    share: float
    by: str


def read_counters(handle: Any) -> dict[str, float]:
    """Seconds each reason has held the clocks down since the driver was loaded; those the driver does not count lack.

    Raises:
        pynvml.NVMLError: the board has no field values.
    """
    values = pynvml.nvmlDeviceGetFieldValues(handle, list(COUNTER_FIELDS.values()))
    return {
        reason: float(value.value.ullVal) / 1e9
        for reason, value in zip(COUNTER_FIELDS, values, strict=True)
        if value.nvmlReturn == pynvml.NVML_SUCCESS and value.valueType in _WIDE
    }


def throttling(
    readings: Sequence[PowerReading], before: Mapping[str, float], after: Mapping[str, float], elapsed_s: float
) -> dict[str, Throttled]:
    """The share of each reason; a reason that neither counter nor samples tell is not in it.

    before, after: `read_counters` at two moments `elapsed_s` apart; readings: the samples between them

    A counter that ran backwards or faster than time, or that stood still while samples showed its reason, is another
    field in this driver: the samples are believed.
    """
    sampled = [reading.throttle_reasons for reading in readings if reading.throttle_reasons is not None]
    found = {}
    for reason in REASON_BITS:
        shown = sum(reason in reasons for reasons in sampled)
        if reason in before and reason in after and elapsed_s > 0:
            rise_s = after[reason] - before[reason]
            if 0 <= rise_s <= elapsed_s + READING_S and (rise_s > 0 or shown == 0):
                found[reason] = Throttled(min(rise_s / elapsed_s, 1.0), "counter")
                continue
        if sampled:
            found[reason] = Throttled(shown / len(sampled), "samples")
    return found

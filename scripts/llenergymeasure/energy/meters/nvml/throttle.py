"""How long the driver held a board's clocks down, and for what reason: its cumulative counters, else samples."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pynvml

from llenergymeasure.energy.sampling.loop import PowerReading

POWER_CAP = "sw_power_cap"
# All by number: older bindings lack some of the names. The names in nvidia-ml-py 13 stand beside them.
# Clocks event reasons that mean "slower than it could be". An idle board and clocks that somebody set do not count.
REASON_BITS = {
    POWER_CAP: 0x04,  # nvmlClocksEventReasonSwPowerCap
    "hw_slowdown": 0x08,  # nvmlClocksEventReasonHwSlowdown
    "sync_boost": 0x10,  # nvmlClocksEventReasonSyncBoost
    "sw_thermal_slowdown": 0x20,  # nvmlClocksEventReasonSwThermalSlowdown
    "hw_thermal_slowdown": 0x40,  # nvmlClocksEventReasonHwThermalSlowdown
    "hw_power_brake_slowdown": 0x80,  # nvmlClocksEventReasonHwPowerBrakeSlowdown
}
# Nanoseconds since the driver was loaded. Heat is asked for by its older number: those of the three newest fields have
# moved (251 to 253 in drivers 570 and early 580, 269 to 271 since), and the old places hold settings today.
COUNTER_FIELDS = {
    POWER_CAP: 74,  # NVML_FI_DEV_CLOCKS_EVENT_REASON_SW_POWER_CAP
    "sync_boost": 76,  # NVML_FI_DEV_CLOCKS_EVENT_REASON_SYNC_BOOST
    "sw_thermal_slowdown": 75,  # NVML_FI_DEV_PERF_POLICY_THERMAL
    "hw_thermal_slowdown": 270,  # NVML_FI_DEV_CLOCKS_EVENT_REASON_HW_THERM_SLOWDOWN
    "hw_power_brake_slowdown": 271,  # NVML_FI_DEV_CLOCKS_EVENT_REASON_HW_POWER_BRAKE_SLOWDOWN
}
_WIDE = (pynvml.NVML_VALUE_TYPE_UNSIGNED_LONG, pynvml.NVML_VALUE_TYPE_UNSIGNED_LONG_LONG)
# A counter cannot gain more than the time that has passed, but for the time the two readings take.
READING_S = 0.1
SLOW_S = 0.5  # between readings of what changes slowly, the reasons among it
# Samples that would be rarer than this if the counter were right contradict it.
TOO_RARE = 0.01


@dataclass(frozen=True)
class Throttled:
    """The share of a window in which a reason held the clocks down.

    by: `counter`; or `samples`, with what its counter said where that is not believed
    """

    share: float
    by: str


def read_counters(handle: Any) -> dict[str, float]:
    """Seconds each reason has held the clocks down since the driver was loaded, for the reasons that it counts.

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
    """The share of each reason, without the reasons that neither counter nor samples show.

    before, after: `read_counters` at two moments `elapsed_s` apart; readings: the samples between them

    A counter that ran backwards or faster than time, or that says another share than samples can have shown, is another
    field in this driver or counts in another unit: the samples are believed.
    """
    sampled = [reading for reading in readings if reading.throttle_reasons is not None]
    shares = {}
    for reason in REASON_BITS:
        shown = [reason in (reading.throttle_reasons or ()) for reading in sampled]
        contradicted = ""
        if reason in before and reason in after and elapsed_s > 0:
            rise_s = after[reason] - before[reason]
            if 0 <= rise_s <= elapsed_s + READING_S and not _contradict(sampled, shown, rise_s, elapsed_s):
                shares[reason] = Throttled(min(rise_s / elapsed_s, 1.0), "counter")
                continue
            contradicted = f", not by its counter, which gained {rise_s:.3g} s in {elapsed_s:.3g} s"
        if sampled:
            shares[reason] = Throttled(sum(shown) / len(shown), f"samples{contradicted}")
    return shares


def _contradict(sampled: Sequence[PowerReading], shown: Sequence[bool], rise_s: float, elapsed_s: float) -> bool:
    """Whether a counter that gained `rise_s` is too unlikely to have left these samples.

    The board is looked at every `SLOW_S`, and a reason may have held beside the samples. By the Chernoff bound, a share
    p or one further off is shown by n looks at a reason that held for the share c with a chance of at most
    exp(-n·D), D = p·ln(p/c) + (1-p)·ln((1-p)/(1-c)).
    """
    if not shown:
        return False
    times_s = [reading.time_s for reading in sampled if reading.time_s is not None]
    spread_s = max(times_s) - min(times_s) if times_s else 0.0
    looks = 1 + int(spread_s / SLOW_S)
    share = sum(shown) / len(shown)
    beside_s = max(0.0, elapsed_s - spread_s)
    most = min(1.0, rise_s / spread_s) if spread_s > 0 else 1.0 if rise_s > 0 else 0.0
    # A look stands for the time until the next.
    least = max(0.0, (rise_s - beside_s) / spread_s - 1 / looks) if spread_s > 0 else 0.0
    held = min(max(share, least), most)
    return math.exp(-looks * _divergence(share, held)) < TOO_RARE


def _divergence(share: float, held: float) -> float:
    """D of the Chernoff bound; infinite where `held` is 0 or 1 and something else was shown."""
    parts = ((share, held), (1 - share, 1 - held))
    if any(observed > 0 and true <= 0 for observed, true in parts):
        return math.inf
    return sum(observed * math.log(observed / true) for observed, true in parts if observed > 0)

"""One NVIDIA board read through NVML."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pynvml

from llenergymeasure.energy.power_sampler import PowerReading
from llenergymeasure.energy.visible_devices import Board

# Clocks event reasons that mean "slower than it could be". An idle board or clocks that somebody set are
# none.
THROTTLE_BITS = {
    "sw_power_cap": pynvml.nvmlClocksEventReasonSwPowerCap,
    "hw_slowdown": pynvml.nvmlClocksEventReasonHwSlowdown,
    "sync_boost": pynvml.nvmlClocksEventReasonSyncBoost,
    "sw_thermal_slowdown": pynvml.nvmlClocksEventReasonSwThermalSlowdown,
    "hw_thermal_slowdown": pynvml.nvmlClocksEventReasonHwThermalSlowdown,
    "hw_power_brake_slowdown": pynvml.nvmlClocksEventReasonHwPowerBrakeSlowdown,
}


class NvmlDevice:
    """A board's energy counter and sensors. What the board or its driver lacks is None in a sample.

    `counter_missing` and `power_missing` hold the driver's answer where a reading cannot be had, else None.
    """

    def __init__(self, board: Board, handle: Any) -> None:
        self.board = board
        self.uuid = board.uuid
        self._handle = handle
        self.counter_missing = _why_not(self.energy_mj)
        self.power_missing = _why_not(self.power_w)
        self.tick_period_s: float | None = None
        # Newer drivers drop the older of the two names, older ones lack the newer.
        self._temperature = _first_that_works(
            lambda: pynvml.nvmlDeviceGetTemperatureV(handle, pynvml.NVML_TEMPERATURE_GPU),
            lambda: pynvml.nvmlDeviceGetTemperature(handle, pynvml.NVML_TEMPERATURE_GPU),
        )
        self._clock = _first_that_works(lambda: pynvml.nvmlDeviceGetClockInfo(handle, pynvml.NVML_CLOCK_SM))
        self._reasons = _first_that_works(
            lambda: pynvml.nvmlDeviceGetCurrentClocksEventReasons(handle),
            lambda: pynvml.nvmlDeviceGetCurrentClocksThrottleReasons(handle),
        )

    def energy_mj(self) -> int:
        """Millijoules since the driver was loaded. Raises pynvml.NVMLError."""
        return int(pynvml.nvmlDeviceGetTotalEnergyConsumption(self._handle))

    def power_w(self) -> float:
        """Power of the board in watts; an average over 1 s on Ampere and newer. Raises pynvml.NVMLError."""
        return float(pynvml.nvmlDeviceGetPowerUsage(self._handle)) / 1e3

    def sample(self) -> PowerReading:
        """Power and state of the board now; a failing sensor is None, with the driver's answer in `error`."""
        power_w: float | None = None
        error: str | None = None
        try:
            power_w = self.power_w()
        except pynvml.NVMLError as failure:
            error = str(failure)
        bits = _or_none(self._reasons)
        return PowerReading(
            power_w=power_w,
            temperature_c=_or_none(self._temperature),
            sm_clock_mhz=_or_none(self._clock),
            throttle_reasons=None if bits is None else [name for name, bit in THROTTLE_BITS.items() if bits & bit],
            error=error,
        )

    def describe(self) -> dict[str, Any]:
        return {
            "uuid": self.uuid,
            "name": self.board.name,
            "nvml_index": self.board.index,
            "counter": self.counter_missing or "total energy",
            "counter_update_period_s": self.tick_period_s,
            "power": self.power_missing or "power usage",
        }


def _why_not(read: Callable[[], object]) -> str | None:
    try:
        read()
    except pynvml.NVMLError as error:
        return str(error)
    return None


def _first_that_works(*reads: Callable[[], int]) -> Callable[[], int] | None:
    return next((read for read in reads if _why_not(read) is None), None)


def _or_none(read: Callable[[], int] | None) -> int | None:
    if read is None:
        return None
    try:
        return int(read())
    except pynvml.NVMLError:
        return None

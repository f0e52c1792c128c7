"""One NVIDIA board read through NVML."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from functools import cached_property
from typing import Any

import pynvml

from llenergymeasure.energy.clock import CLOCK, Clock
from llenergymeasure.energy.integration.sensors import family_from_name
from llenergymeasure.energy.integration.ticks import CounterFailed, CounterReading, Period, read_counter
from llenergymeasure.energy.meters.nvml.board import board_facts
from llenergymeasure.energy.meters.nvml.power import PowerSource, choose_power, superchip
from llenergymeasure.energy.meters.nvml.state import BoardState, board_state
from llenergymeasure.energy.meters.nvml.throttle import REASON_BITS, SLOW_S
from llenergymeasure.energy.meters.nvml.visible_devices import Board
from llenergymeasure.energy.sampling.loop import PowerReading

SUPERCHIP_REASON = (
    "a superchip: NVML does not say whether its total-energy counter covers the GPU or the whole module, so GPU-scope "
    "power is integrated instead"
)


class NvmlDevice:
    """A board's energy counter and sensors. What the board or its driver lacks is None in a sample.

    `counter_missing` and `power_missing` hold the reason where a reading does not work, else None; `missing` holds the
    sensors that do not work, with the driver's answer.
    """

    domain = "gpu"

    def __init__(self, board: Board, handle: Any, clock: Clock) -> None:
        self.board = board
        self.uuid = board.uuid
        self.family = family_from_name(board.name)
        self.superchip = superchip(handle, board.name)
        self.tick_period: Period | None = None
        self.missing: dict[str, str] = {}
        self.power: PowerSource | None = None
        self.power_missing: str | None = None
        self._handle = handle
        self._clock = clock
        self._slow_read_s = -math.inf
        self._slow = PowerReading(power_w=None)
        self._seen_until_us = 0
        self.counter_missing = SUPERCHIP_REASON if self.superchip else _why_not(self.energy_mj)
        try:
            self.power = choose_power(handle, board.name, superchip=self.superchip)
        except pynvml.NVMLError as error:
            self.power_missing = str(error)
        # Newer drivers drop the older of two names, older ones lack the newer.
        self._temperature = self._sensor(
            "temperature",
            lambda: pynvml.nvmlDeviceGetTemperatureV(handle, pynvml.NVML_TEMPERATURE_GPU),
            lambda: pynvml.nvmlDeviceGetTemperature(handle, pynvml.NVML_TEMPERATURE_GPU),
        )
        self._sm_clock = self._sensor("sm_clock", lambda: pynvml.nvmlDeviceGetClockInfo(handle, pynvml.NVML_CLOCK_SM))
        self._memory_clock = self._sensor(
            "memory_clock", lambda: pynvml.nvmlDeviceGetClockInfo(handle, pynvml.NVML_CLOCK_MEM)
        )
        self._reasons = self._sensor(
            "throttle_reasons",
            lambda: pynvml.nvmlDeviceGetCurrentClocksEventReasons(handle),
            lambda: pynvml.nvmlDeviceGetCurrentClocksThrottleReasons(handle),
        )

    @property
    def address(self) -> dict[str, Any]:
        """What another process opens the board by; see `board_opener`."""
        return asdict(self.board)

    def energy_mj(self) -> int:
        """Millijoules since the driver was loaded. Raises CounterFailed."""
        try:
            return int(pynvml.nvmlDeviceGetTotalEnergyConsumption(self._handle))
        except pynvml.NVMLError as error:
            raise CounterFailed(str(error), lost=_is_lost(error)) from error

    def temperature_c(self) -> float | None:
        return _or_none(self._temperature)

    def state(self) -> BoardState:
        """What belongs before and after a window, not into it. Of other processes: since the call before."""
        state = board_state(self._handle, self._clock.now_s(), self._seen_until_us)
        if state.processes is not None:
            self._seen_until_us = state.processes.seen_until_us
        return state

    def count(self) -> CounterReading | None:
        """The counter now; None where there is none."""
        return None if self.counter_missing else read_counter(self.energy_mj, self._clock)

    def sample(self) -> PowerReading:
        """Power and state of the board now; a failing sensor is None, power's failure is in `error`.

        All but power may be `SLOW_S` old: calls take up to milliseconds, and the driver answers one at a time.
        """
        power_w: float | None = None
        error, lost = self.power_missing, False
        before_s = self._clock.now_s()
        if self.power is not None:
            try:
                power_w = self.power.read()
            except pynvml.NVMLError as failure:
                error, lost = str(failure), _is_lost(failure)
        if power_w == 0:
            # No working board draws 0 W: some answer 0 when they are asked too soon after the last time.
            power_w, error = None, "0 W"
        now_s = self._clock.now_s()
        if now_s - self._slow_read_s >= SLOW_S:
            self._slow_read_s, self._slow = now_s, self._slow_sensors()
        return replace(self._slow, power_w=power_w, error=error, lost=lost, time_s=(before_s + now_s) / 2)

    def refresh(self) -> None:
        """The next sample reads everything again: what was seen before a window does not belong to it."""
        self._slow_read_s = -math.inf

    def describe(self) -> dict[str, Any]:
        period = self.tick_period
        return {
            "uuid": self.uuid,
            "name": self.board.name,
            "nvml_index": self.board.index,
            "counter": self.counter_missing or "total energy",
            "counter_lag_bound_s": self.family.lag_bound_s,
            "counter_update_period_s": period.period_s if period else None,
            "counter_update_spread_s": period.spread_s if period else None,
            "power": self.power.name if self.power else self.power_missing,
            "power_averaging_s": self.power.averaging_s if self.power else None,
            "family": self.family.name,
            "sensor_seen_share": self.family.seen_share,
            "sensor_gain_bound": self.family.gain_bound,
            "sensor_source": self.family.source,
            "superchip": self.superchip,
            "missing_sensors": dict(self.missing),
            "board": self._facts,
        }

    @cached_property
    def _facts(self) -> dict[str, Any]:
        return board_facts(self._handle)

    def _slow_sensors(self) -> PowerReading:
        bits = _or_none(self._reasons)
        return PowerReading(
            power_w=None,
            temperature_c=_or_none(self._temperature),
            sm_clock_mhz=_or_none(self._sm_clock),
            memory_clock_mhz=_or_none(self._memory_clock),
            throttle_reasons=None if bits is None else [name for name, bit in REASON_BITS.items() if bits & bit],
        )

    def _sensor(self, name: str, *reads: Callable[[], int]) -> Callable[[], int] | None:
        """The first of these calls that works; where none does, the sensor is missing."""
        answer = None
        for read in reads:
            answer = _why_not(read)
            if answer is None:
                return read
        self.missing[name] = str(answer)
        return None


def board_opener() -> Callable[[Mapping[str, Any]], NvmlDevice]:
    """For the sampler's process: start NVML there; what it returns opens a board by its address."""
    pynvml.nvmlInit()

    def open_board(address: Mapping[str, Any]) -> NvmlDevice:
        board = Board(**address)
        return NvmlDevice(board, pynvml.nvmlDeviceGetHandleByUUID(board.uuid), CLOCK)

    return open_board


def _is_lost(error: pynvml.NVMLError) -> bool:
    return bool(error.value == pynvml.NVML_ERROR_GPU_IS_LOST)


def _why_not(read: Callable[[], object]) -> str | None:
    try:
        read()
    except (pynvml.NVMLError, CounterFailed, AttributeError) as error:
        # AttributeError: an older binding lacks the name.
        return str(error)
    return None


def _or_none(read: Callable[[], int] | None) -> int | None:
    if read is None:
        return None
    try:
        return int(read())
    except (pynvml.NVMLError, AttributeError):
        return None

"""A background thread that writes down counter, power and state of the devices while a window is open."""

from __future__ import annotations

import itertools
import math
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from llenergymeasure.energy.clock import Clock
from llenergymeasure.energy.meter import Warn

# Spacings vary by ±25 % in the order of multiples of the golden ratio, which spread evenly: a fixed spacing would look
# at a counter, at a sensor's blind share or at a repeating load always in the same phase.
GOLDEN = (math.sqrt(5) - 1) / 2
# A busy machine delays a thread by tenths of a second; longer than this is worth a word.
STALL_S = 1.0


@dataclass(frozen=True)
class PowerReading:
    """One look at a device's sensors; None for what it could not tell, `error` for why power is missing.

    counter_mj: the total-energy counter in millijoules
    lost: the driver said that the device is gone
    """

    power_w: float | None
    counter_mj: int | None = None
    temperature_c: int | None = None
    sm_clock_mhz: int | None = None
    memory_clock_mhz: int | None = None
    throttle_reasons: list[str] | None = None
    error: str | None = None
    lost: bool = False


@dataclass(frozen=True)
class PowerSample:
    """A reading of the device `uuid`, begun at `time_s` on the meters' clock."""

    time_s: float
    uuid: str
    reading: PowerReading


class Sampled(Protocol):
    """A device that can be sampled. Its calls should release the GIL, as ctypes calls do."""

    uuid: str

    def sample(self) -> PowerReading: ...


class PowerSampler:
    """Samples devices every `interval_s` seconds on average between `start` and `stop`, and sleeps otherwise.

    All samples are kept, none averaged. A sampler that dies or stalls leaves a warning and is started anew
    for the next window; `trouble` says so of the window that was closed last.
    """

    def __init__(self, interval_s: float, source: str, warn: Warn, clock: Clock) -> None:
        self._interval_s = interval_s
        self._source = source
        self._warn = warn
        self._clock = clock
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._devices: tuple[Sampled, ...] = ()  # empty: no window is open
        self._window = 0
        self._started_s = 0.0
        self._samples: list[PowerSample] = []
        self._rows: list[dict[str, Any]] = []
        self._death: str | None = None
        self._closed = False
        self.trouble: str | None = None

    def start(self, devices: Sequence[Sampled]) -> None:
        """Sample these devices from now on; the first sample is taken at once."""
        with self._changed:
            self._window += 1
            self._samples = []
            self._started_s = self._clock.now_s()
            self._devices = tuple(devices)
            self._death = None
            if devices and (self._thread is None or not self._thread.is_alive()):
                self._thread = threading.Thread(target=self._run, name="power-sampler", daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def stop(self, phase: str, end_s: float) -> list[PowerSample]:
        """End sampling: the samples since `start`. What went wrong meanwhile becomes a warning.

        Samples taken after the window's end `end_s` are given back with the others, and are not part of the trace.
        """
        now_s = self._clock.now_s()
        with self._changed:
            devices, self._devices = self._devices, ()
            samples, self._samples = self._samples, []
            death = self._death
            self._changed.notify_all()
        self.trouble = None
        if devices:
            self._judge(phase, samples, death, now_s)
        self._rows += [self._row(phase, sample) for sample in samples if sample.time_s <= end_s]
        return samples

    def trace(self) -> list[dict[str, Any]]:
        """All samples in windows since the last call, one dict a sample."""
        rows, self._rows = self._rows, []
        return rows

    def close(self) -> None:
        """Let the thread end."""
        with self._changed:
            self._closed = True
            self._devices = ()
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join(timeout=1.0)

    def _run(self) -> None:
        try:
            while self._wait_for_window():
                self._sample_window()
        except Exception as error:  # noqa: BLE001  whatever kills the thread, the next `stop` has to tell it
            self._death = f"{type(error).__name__}: {error}"

    def _wait_for_window(self) -> bool:
        with self._changed:
            self._clock.wait_for(self._changed, lambda: self._closed or bool(self._devices), None)
            return not self._closed

    def _sample_window(self) -> None:
        with self._changed:
            window, devices = self._window, self._devices
        due_s = self._clock.now_s()
        for turn in itertools.count():
            taken = [PowerSample(self._clock.now_s(), device.uuid, device.sample()) for device in devices]
            spacing_s = self._interval_s * (0.75 + 0.5 * math.fmod(turn * GOLDEN, 1.0))
            due_s = max(due_s + spacing_s, self._clock.now_s())
            with self._changed:
                if self._ended(window):
                    return
                self._samples += taken
                left_s = max(0.0, due_s - self._clock.now_s())
                if self._clock.wait_for(self._changed, lambda: self._ended(window), left_s):
                    return

    def _ended(self, window: int) -> bool:
        return self._closed or not self._devices or self._window != window

    def _judge(self, phase: str, samples: list[PowerSample], death: str | None, now_s: float) -> None:
        late_s = now_s - (samples[-1].time_s if samples else self._started_s)
        if death is not None:
            self.trouble = f"the power trace of phase {phase} is incomplete: {death}"
            self._warn("power_sampler_died", self.trouble)
        elif late_s > STALL_S + 2 * self._interval_s:
            self.trouble = f"the power trace of phase {phase} lacks its last {late_s:.1f} s"
            self._warn("power_sampler_stalled", self.trouble)
        for uuid in dict.fromkeys(sample.uuid for sample in samples):
            readings = [sample.reading for sample in samples if sample.uuid == uuid]
            errors = [reading.error for reading in readings if reading.error is not None]
            if errors:
                self._warn(
                    "power_read_failed",
                    f"{uuid}: {len(errors)} of {len(readings)} power readings failed in phase {phase}: {errors[0]}",
                )

    def _row(self, phase: str, sample: PowerSample) -> dict[str, Any]:
        reading = sample.reading
        return {
            "monotonic_s": sample.time_s,
            "phase": phase,
            "device": sample.uuid,
            "power_w": reading.power_w,
            "energy_counter_j": None if reading.counter_mj is None else reading.counter_mj / 1e3,
            "source": self._source,
            "temperature_c": reading.temperature_c,
            "sm_clock_mhz": reading.sm_clock_mhz,
            "memory_clock_mhz": reading.memory_clock_mhz,
            "throttle_reasons": reading.throttle_reasons,
        }

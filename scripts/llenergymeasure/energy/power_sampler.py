"""A background thread that writes down power and state of the devices while a window is open."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from llenergymeasure.energy.meter import Warn

# A busy machine delays a thread by tenths of a second; longer than this is worth a word.
STALL_S = 1.0


@dataclass(frozen=True)
class PowerReading:
    """One look at a device's sensors; None for what it could not tell, `error` for why power is missing."""

    power_w: float | None
    temperature_c: int | None = None
    sm_clock_mhz: int | None = None
    throttle_reasons: list[str] | None = None
    error: str | None = None


@dataclass(frozen=True)
class PowerSample:
    """A reading of the device `uuid` at `time_s` (perf_counter)."""

    time_s: float
    uuid: str
    reading: PowerReading


class Sampled(Protocol):
    """A device that can be sampled. Its calls should release the GIL, as ctypes calls do."""

    uuid: str

    def sample(self) -> PowerReading: ...


class PowerSampler:
    """Samples devices every `interval_s` seconds between `start` and `stop`, and sleeps otherwise.

    All samples are kept, none averaged. A sampler that dies or stalls leaves a warning and is started anew
    for the next window.
    """

    def __init__(self, interval_s: float, source: str, warn: Warn) -> None:
        self._interval_s = interval_s
        self._source = source
        self._warn = warn
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._devices: tuple[Sampled, ...] = ()  # empty: no window is open
        self._window = 0
        self._started_s = 0.0
        self._samples: list[PowerSample] = []
        self._rows: list[dict[str, Any]] = []
        self._death: str | None = None
        self._closed = False

    def start(self, devices: Sequence[Sampled]) -> None:
        """Sample these devices from now on; the first sample is taken at once."""
        with self._changed:
            self._window += 1
            self._samples = []
            self._started_s = time.perf_counter()
            self._devices = tuple(devices)
            self._death = None
            if devices and (self._thread is None or not self._thread.is_alive()):
                self._thread = threading.Thread(target=self._run, name="power-sampler", daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def stop(self, phase: str) -> list[PowerSample]:
        """End sampling: the samples since `start`. What went wrong meanwhile becomes a warning."""
        now_s = time.perf_counter()
        with self._changed:
            devices, self._devices = self._devices, ()
            samples, self._samples = self._samples, []
            death = self._death
            self._changed.notify_all()
        if devices:
            self._judge(phase, samples, death, now_s)
        self._rows += [self._row(phase, sample) for sample in samples]
        return samples

    def trace(self) -> list[dict[str, Any]]:
        """All samples since the last call, one dict a sample."""
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
            self._changed.wait_for(lambda: self._closed or bool(self._devices))
            return not self._closed

    def _sample_window(self) -> None:
        with self._changed:
            window, devices = self._window, self._devices
        due_s = time.perf_counter()
        while True:
            taken = [PowerSample(time.perf_counter(), device.uuid, device.sample()) for device in devices]
            due_s = max(due_s + self._interval_s, time.perf_counter())
            with self._changed:
                if self._ended(window):
                    return
                self._samples += taken
                if self._changed.wait_for(lambda: self._ended(window), timeout=max(0.0, due_s - time.perf_counter())):
                    return

    def _ended(self, window: int) -> bool:
        return self._closed or not self._devices or self._window != window

    def _judge(self, phase: str, samples: list[PowerSample], death: str | None, now_s: float) -> None:
        late_s = now_s - (samples[-1].time_s if samples else self._started_s)
        if death is not None:
            self._warn("power_sampler_died", f"the power trace of phase {phase} is incomplete: {death}")
        elif late_s > STALL_S + 2 * self._interval_s:
            self._warn("power_sampler_stalled", f"the power trace of phase {phase} lacks its last {late_s:.1f} s")
        for uuid in dict.fromkeys(sample.uuid for sample in samples):
            self._judge_device(phase, uuid, [sample.reading for sample in samples if sample.uuid == uuid])

    def _judge_device(self, phase: str, uuid: str, readings: list[PowerReading]) -> None:
        errors = [reading.error for reading in readings if reading.error is not None]
        if errors:
            self._warn(
                "power_read_failed",
                f"{uuid}: {len(errors)} of {len(readings)} power readings failed in phase {phase}: {errors[0]}",
            )
        throttled = [reading.throttle_reasons for reading in readings if reading.throttle_reasons]
        if throttled:
            names = ", ".join(sorted({name for reasons in throttled for name in reasons}))
            share = len(throttled) / len(readings)
            self._warn("throttled", f"{uuid} was throttled in {share:.0%} of the samples of phase {phase}: {names}")

    def _row(self, phase: str, sample: PowerSample) -> dict[str, Any]:
        reading = sample.reading
        return {
            "monotonic_s": sample.time_s,
            "phase": phase,
            "device": sample.uuid,
            "power_w": reading.power_w,
            "source": self._source,
            "temperature_c": reading.temperature_c,
            "sm_clock_mhz": reading.sm_clock_mhz,
            "throttle_reasons": reading.throttle_reasons,
        }

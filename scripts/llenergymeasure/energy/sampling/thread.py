"""The sampling loop in a thread of this process: for counters that no other process can open, and virtual clocks."""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence

from llenergymeasure.energy.clock import Clock
from llenergymeasure.energy.integration.ticks import CounterReading
from llenergymeasure.energy.sampling.loop import FIRST_TICK_S, PowerSample, Readings, Sampled, SamplingLoop
from llenergymeasure.energy.sampling.window_thread import WindowThread

# A device whose calls hang must not hold up the window that waits for its first tick.
PATIENCE_S = 2 * FIRST_TICK_S


class _Window:
    """Orders for one window's loop, and what it read. A reading that outlives its window goes nowhere else."""

    def __init__(self, devices: Sequence[Sampled], changed: threading.Condition, clock: Clock) -> None:
        self.devices = devices
        self.fast_until_s = math.inf
        self.readings = Readings()
        self.is_ready = False
        self.over = False
        self._orders = 0
        self._changed = changed
        self._clock = clock

    def poll_until(self, time_s: float) -> None:
        with self._changed:
            self.fast_until_s = time_s
            self._orders += 1
            self._changed.notify_all()

    def wait(self, seconds: float) -> bool:
        with self._changed:
            orders = self._orders
            self._clock.wait_for(self._changed, lambda: self.over or self._orders != orders, seconds)
            return self.over

    def counted(self, uuid: str, reading: CounterReading) -> None:
        self.readings.counters[uuid].append(reading)

    def sampled(self, sample: PowerSample) -> None:
        if not self.over:
            self.readings.samples.append(sample)

    def ready(self) -> None:
        with self._changed:
            self.is_ready = True
            self._changed.notify_all()


class SamplerThread:
    """The loop in a thread that sleeps between windows; one that died is replaced in the next window."""

    def __init__(self, interval_s: float, clock: Clock) -> None:
        self._interval_s = interval_s
        self._clock = clock
        self._thread = WindowThread("power-sampler", self._read, clock)

    @property
    def death(self) -> str | None:
        return self._thread.death

    def begin(self, devices: Sequence[Sampled]) -> bool:
        """Read these devices from now on; returns when every counter has ticked or had time to; False: it hangs."""
        changed = self._thread.changed
        window = _Window(tuple(devices), changed, self._clock)
        with changed:
            self._thread.open(window)
            self._clock.wait_for(changed, lambda: window.is_ready or self.death is not None, PATIENCE_S)
        return window.is_ready

    def poll_until(self, time_s: float) -> None:
        if self._thread.window is not None:
            self._thread.window.poll_until(time_s)

    def end(self) -> Readings:
        """Stop reading: what was read since `begin`."""
        window = self._thread.shut()
        return Readings() if window is None else window.readings

    def close(self) -> None:
        """Let the thread end."""
        self._thread.close()

    def _read(self, window: _Window) -> None:
        SamplingLoop(window.devices, self._interval_s, self._clock, window, window).run()

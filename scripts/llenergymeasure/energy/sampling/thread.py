"""The sampling loop in a thread of this process: for counters that no other process can open, and virtual clocks."""

from __future__ import annotations

import math
import threading
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from llenergymeasure.energy.clock import Clock
from llenergymeasure.energy.integration.ticks import CounterReading
from llenergymeasure.energy.sampling.loop import FIRST_TICK_S, PowerSample, Sampled, SamplingLoop

# A device whose calls hang must not hold up the window that waits for its first tick.
PATIENCE_S = 2 * FIRST_TICK_S


@dataclass
class Readings:
    """What was read in and around a window: counters by device, and samples, each in order."""

    counters: dict[str, list[CounterReading]] = field(default_factory=lambda: defaultdict(list))
    samples: list[PowerSample] = field(default_factory=list)


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

    def order(self, *, fast_until_s: float | None = None, over: bool = False) -> None:
        with self._changed:
            self.fast_until_s = self.fast_until_s if fast_until_s is None else fast_until_s
            self.over = self.over or over
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
    """A thread that sleeps between windows; one that died is replaced in the next window."""

    def __init__(self, interval_s: float, clock: Clock) -> None:
        self._interval_s = interval_s
        self._clock = clock
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._window: _Window | None = None
        self._closed = False
        self.death: str | None = None

    def begin(self, devices: Sequence[Sampled]) -> bool:
        """Read these devices from now on; returns when every counter has ticked or had time to; False: it hangs."""
        window = _Window(tuple(devices), self._changed, self._clock)
        with self._changed:
            self._window, self.death = window, None
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="power-sampler", daemon=True)
                self._thread.start()
            self._changed.notify_all()
            self._clock.wait_for(self._changed, lambda: window.is_ready or self.death is not None, PATIENCE_S)
        return window.is_ready

    def poll_until(self, time_s: float) -> None:
        if self._window is not None:
            self._window.order(fast_until_s=time_s)

    def end(self) -> Readings:
        """Stop reading: what was read since `begin`."""
        window, self._window = self._window, None
        if window is None:
            return Readings()
        window.order(over=True)
        return window.readings

    def close(self) -> None:
        """Let the thread end."""
        self.end()
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join(timeout=1.0)

    def _run(self) -> None:
        try:
            while (window := self._next()) is not None:
                SamplingLoop(window.devices, self._interval_s, self._clock, window, window).run()
        except Exception as error:  # noqa: BLE001  whatever kills the thread, the window's end has to tell it
            with self._changed:
                self.death = f"{type(error).__name__}: {error}"
                self._changed.notify_all()

    def _next(self) -> _Window | None:
        """The next window to read in; None when the meter is closed."""
        with self._changed:
            self._clock.wait_for(self._changed, lambda: self._closed or self._open() is not None, None)
            return None if self._closed else self._open()

    def _open(self) -> _Window | None:
        return self._window if self._window is not None and not self._window.over else None

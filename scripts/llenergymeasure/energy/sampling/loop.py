"""The loop that reads the devices while a window is open, in a thread or in a process of its own.

At the edges of a window it polls the counters as fast as they answer, so that the time of each tick is known; between
them it reads counter and power at an interval and sleeps otherwise.
"""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from llenergymeasure.energy.clock import Clock
from llenergymeasure.energy.integration.ticks import POLL_S, CounterReading

# Spacings vary by ±25 % in the order of multiples of the golden ratio, which spread evenly: a fixed spacing would look
# at a counter, at a sensor's blind share or at a repeating load always in the same phase.
GOLDEN = (math.sqrt(5) - 1) / 2
# So long after the start of a window the counters are polled: the longest lag, and two ticks of a slow counter.
EDGE_S = 0.35
# A window waits so long for the first tick of every counter: more than two periods of the slowest one seen.
FIRST_TICK_S = 0.25


@dataclass(frozen=True)
class PowerReading:
    """One look at a device's sensors; None for what it could not report, `error` for why power is missing.

    counter_mj: the total-energy counter in millijoules
    lost: the driver said that the device is gone
    time_s: the middle of the power reading on the meters' clock, None where it is that of the whole look
    """

    power_w: float | None
    counter_mj: int | None = None
    temperature_c: int | None = None
    sm_clock_mhz: int | None = None
    memory_clock_mhz: int | None = None
    throttle_reasons: list[str] | None = None
    error: str | None = None
    lost: bool = False
    time_s: float | None = None


@dataclass(frozen=True)
class PowerSample:
    """A reading of the device `uuid`, at `time_s` on the meters' clock."""

    time_s: float
    uuid: str
    reading: PowerReading


@dataclass
class Readings:
    """What was read in and around a window: counters by device, and samples, each in order."""

    counters: dict[str, list[CounterReading]] = field(default_factory=lambda: defaultdict(list))
    samples: list[PowerSample] = field(default_factory=list)


class Sampled(Protocol):
    """A device that can be sampled. Its calls should release the GIL, as ctypes calls do."""

    @property
    def uuid(self) -> str: ...

    def count(self) -> CounterReading | None:
        """Its counter now; None where it has none."""
        ...

    def sample(self) -> PowerReading:
        """Everything but the counter."""
        ...

    def refresh(self) -> None:
        """The next sample reads everything again: what was seen before a window does not belong to it."""
        ...


class Orders(Protocol):
    """What the meter orders the loop to do."""

    @property
    def fast_until_s(self) -> float:
        """Until when the counters are polled."""
        ...

    def wait(self, seconds: float) -> bool:
        """Sleep, or until an order comes. True where the window is over."""
        ...


class Sink(Protocol):
    """Where the readings go, in order."""

    def counted(self, uuid: str, reading: CounterReading) -> None: ...

    def sampled(self, sample: PowerSample) -> None: ...

    def ready(self) -> None:
        """Every counter has ticked, or there was time enough to."""
        ...


class SamplingLoop:
    """Reads the devices of one window, until its orders say that it is over."""

    def __init__(self, devices: Sequence[Sampled], interval_s: float, clock: Clock, orders: Orders, sink: Sink) -> None:
        self._devices = devices
        self._interval_s = interval_s
        self._clock = clock
        self._orders = orders
        self._sink = sink
        # The last reading of each counter, where it was not handed on.
        self._held: dict[str, CounterReading] = {}
        self._values: dict[str, int | None] = {}
        self._still: set[str] = set()

    def run(self) -> None:
        turns = itertools.count()
        begun_s = due_s = self._clock.now_s()
        ready = False
        for device in self._devices:
            device.refresh()
        self._look_at_all()
        self._still = set(self._held) | set(self._values)
        while True:
            now_s = self._clock.now_s()
            if not ready and (not self._still or now_s - begun_s > FIRST_TICK_S):
                ready = True
                self._sink.ready()
            if now_s >= due_s:
                spacing_s = self._interval_s * (0.75 + 0.5 * math.fmod(next(turns) * GOLDEN, 1.0))
                due_s = max(due_s + spacing_s, now_s)
            wait_s = max(0.0, due_s - self._clock.now_s())
            if now_s < self._orders.fast_until_s:
                wait_s = min(wait_s, POLL_S)
            if self._orders.wait(wait_s):
                break
            if self._clock.now_s() >= due_s:
                self._look_at_all()
            elif self._clock.now_s() < self._orders.fast_until_s:
                self._poll()
        for uuid in list(self._held):
            self._hand_on(uuid)

    def _look_at_all(self) -> None:
        for device in self._devices:
            counter = device.count()
            if counter is not None:
                self._keep(device.uuid, counter)
                self._hand_on(device.uuid)
            before_s = self._clock.now_s()
            reading = device.sample()
            middle_s = (before_s + self._clock.now_s()) / 2 if reading.time_s is None else reading.time_s
            if counter is not None:
                reading = replace(reading, counter_mj=counter.millijoules, lost=reading.lost or counter.lost)
            self._sink.sampled(PowerSample(middle_s, device.uuid, reading))

    def _poll(self) -> None:
        for device in self._devices:
            counter = device.count()
            if counter is not None:
                self._keep(device.uuid, counter)

    def _keep(self, uuid: str, reading: CounterReading) -> None:
        """Of readings that say the same only the first and the last are handed on: they hold all that is known."""
        if uuid in self._values and reading.millijoules == self._values[uuid]:
            self._held[uuid] = reading
            return
        self._hand_on(uuid)
        self._still.discard(uuid)
        self._values[uuid] = reading.millijoules
        self._sink.counted(uuid, reading)

    def _hand_on(self, uuid: str) -> None:
        held = self._held.pop(uuid, None)
        if held is not None:
            self._sink.counted(uuid, held)

"""Counter, power and state of the devices in and around a window, read beside the process that does the work."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Protocol

from llenergymeasure.energy.clock import Clock
from llenergymeasure.energy.meter import Warn
from llenergymeasure.energy.sampling.loop import EDGE_S, PowerSample, Readings, Sampled

# A busy machine delays a process by tenths of a second; a longer delay is worth a warning.
STALL_S = 1.0


class Host(Protocol):
    """Where the sampling loop runs. `death`: why it ended by itself in this window."""

    @property
    def death(self) -> str | None: ...

    def begin(self, devices: Sequence[Any]) -> bool:
        """Read these devices from now on, and poll their counters. False where it does not come up."""
        ...

    def poll_until(self, time_s: float) -> None:
        """Poll the counters until then."""
        ...

    def end(self) -> Readings:
        """Stop reading: what was read since `begin`."""
        ...

    def close(self) -> None: ...


class PowerSampler:
    """Samples devices every `interval_s` seconds on average between `start` and `stop`, and sleeps otherwise.

    All samples are kept, none averaged. A sampler that dies or stalls causes a warning and is started again for the
    next window; `trouble` says what happened in the window that was closed last.

    source: where the power of the trace comes from; None where no device reports its power: then there is no trace
    """

    def __init__(self, host: Host, interval_s: float, source: str | None, warn: Warn, clock: Clock) -> None:
        self._host = host
        self._interval_s = interval_s
        self._source = source
        self._warn = warn
        self._clock = clock
        self._devices: tuple[Sampled, ...] = ()  # empty: no window is open
        self._started_s = 0.0
        self._read_here = Readings()
        self._reads = False
        self._rows: list[dict[str, Any]] = []
        self.trouble: str | None = None

    def start(self, devices: Sequence[Sampled]) -> None:
        """Sample these devices from now on, and poll their counters; returns when each has ticked, or had time to."""
        self._started_s = self._clock.now_s()
        self._devices = tuple(devices)
        self._read_here = Readings()
        self._reads = bool(devices) and self._host.begin(self._devices)

    def opened(self) -> None:
        """The window opens now: its edge is over when `EDGE_S` have passed."""
        self._edge(self._clock.now_s() + EDGE_S)

    def closed(self) -> None:
        """The window has just ended."""
        self._edge(math.inf)

    def _edge(self, poll_until_s: float) -> None:
        if not self._devices:
            return
        self._host.poll_until(poll_until_s)
        if not self._reads or self._host.death is not None:
            # The energy of the window shall not be lost with the sampler: its edges are read here.
            self._read(self._devices)

    def _read(self, devices: Sequence[Sampled]) -> None:
        for device in devices:
            counter = device.count()
            if counter is not None:
                self._read_here.counters[device.uuid].append(counter)

    def stop(self, phase: str, start_s: float, end_s: float) -> Readings:
        """End sampling: what was read since `start`. What went wrong meanwhile becomes a warning.

        Samples taken outside of the window, before `start_s` and after `end_s`, are given back with the others, and are
        not part of the trace.
        """
        devices, self._devices = self._devices, ()
        self.trouble = None
        if not devices:
            return Readings()
        now_s = self._clock.now_s()
        death = self._host.death
        readings = self._host.end()
        self._judge(phase, readings.samples, death or self._host.death, now_s)
        # Where the sampler was held up, the end of the window is known by this at least.
        self._read(devices)
        for uuid, counters in self._read_here.counters.items():
            readings.counters[uuid] = sorted([*readings.counters[uuid], *counters], key=lambda reading: reading.time_s)
        if self._source is not None:
            self._rows += [self._row(phase, sample) for sample in readings.samples if start_s <= sample.time_s <= end_s]
        return readings

    def trace(self) -> list[dict[str, Any]]:
        """All samples in windows since the last call, one dict per sample."""
        rows, self._rows = self._rows, []
        return rows

    def close(self) -> None:
        self._host.close()

    def _judge(self, phase: str, samples: Sequence[PowerSample], death: str | None, now_s: float) -> None:
        late_s = now_s - (samples[-1].time_s if samples else self._started_s)
        if death is not None:
            self.trouble = f"the power trace of phase {phase} is incomplete: {death}"
            self._warn("power-sampler-died", self.trouble)
        elif late_s > STALL_S + 2 * self._interval_s:
            self.trouble = f"the power trace of phase {phase} lacks its last {late_s:.1f} s"
            self._warn("power-sampler-stalled", self.trouble)
        for uuid in dict.fromkeys(sample.uuid for sample in samples):
            readings = [sample.reading for sample in samples if sample.uuid == uuid]
            errors = [reading.error for reading in readings if reading.error is not None]
            if errors:
                self._warn(
                    "power-read-failed",
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

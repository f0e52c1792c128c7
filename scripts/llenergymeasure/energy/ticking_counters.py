"""The windows of every meter whose devices have an energy counter that ticks, or power readings where it is missing.

A meter finds its devices and says where its figures come from; sampling, waiting and integrating are the same for all.
zeus.py is the shortest such meter.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, Protocol, TypeVar

from llenergymeasure.energy.clock import Clock
from llenergymeasure.energy.findings import device_lost, trace_incomplete
from llenergymeasure.energy.integration.counter_energy import UNSTEADY, CounterWindow, counter_entry
from llenergymeasure.energy.integration.cross_check import cross_check, disagreement
from llenergymeasure.energy.integration.integrated_power import (
    UPDATE_LAG_S,
    PowerWindow,
    follow_s,
    noise_component,
    power_entry,
)
from llenergymeasure.energy.integration.sensors import Family, PartTime
from llenergymeasure.energy.integration.step_aliasing import Cycles
from llenergymeasure.energy.integration.ticks import CounterReading, Period, read_counter
from llenergymeasure.energy.ledger import Account, Finished, Interval, LedgerEntry, Span
from llenergymeasure.energy.meter import MeterContext
from llenergymeasure.energy.sampling.host import SamplerProcess
from llenergymeasure.energy.sampling.loop import PowerReading, PowerSample, Sampled
from llenergymeasure.energy.sampling.power_sampler import Host, PowerSampler
from llenergymeasure.energy.sampling.thread import SamplerThread
from llenergymeasure.records.finding import Finding

# Around an edge the same work runs for: the longest lag, the polling after an edge, and a tick more.
STEADY_S = 0.5
# How many ticks the counters are followed for after a window; for no longer than the slowest one known needs.
FOLLOWED_TICKS = 1.5
LONGEST_TICK_S = 0.25


class PowerSensor(Protocol):
    """How a device reports its power; each reading is averaged over `averaging_s` seconds, 0: instantaneous."""

    @property
    def name(self) -> str: ...

    @property
    def averaging_s(self) -> float: ...


class TickingDevice(Sampled, Protocol):
    """A device with a counter that ticks, or power readings, or both.

    counter_missing: why it has no counter; None where it has one
    power: None where it does not report its power
    tick_period: how the counter ticked when the meter was opened, None where too few ticks were seen
    """

    @property
    def domain(self) -> str: ...

    @property
    def family(self) -> Family: ...

    @property
    def counter_missing(self) -> str | None: ...

    @property
    def power(self) -> PowerSensor | None: ...

    @property
    def tick_period(self) -> Period | None: ...


D = TypeVar("D", bound=TickingDevice)


@dataclass(frozen=True)
class Counter:
    """A device with an energy counter and no other reading; `read` gives millijoules or raises CounterFailed."""

    uuid: str
    name: str
    domain: str
    family: Family
    read: Callable[[], int]
    clock: Clock
    tick_period: Period | None = None
    counter_missing: None = None
    power: None = None

    def count(self) -> CounterReading:
        return read_counter(self.read, self.clock)

    def sample(self) -> PowerReading:
        return PowerReading(power_w=None)

    def refresh(self) -> None:
        """Nothing is kept from one sample to the next."""


@dataclass(frozen=True)
class Sources:
    """Where a meter's figures come from, as the ledger names it; `power` is None where no device reports its power."""

    counter: str
    power: str | None = None


class TickingCounters(Generic[D]):
    """What a meter of such devices does in and around windows. The meter adds `name`, `restrict` and `describe`.

    active: the devices that are counted from the next window on
    readings: of each device, those inside the window that was finished last
    """

    def __init__(
        self, active: Sequence[D], sources: Sources, context: MeterContext, *, opener: str | None = None
    ) -> None:
        """opener: what a `SamplerProcess` opens the devices by; None where no other process can open them."""
        self.active = active
        self.readings: dict[str, list[PowerReading]] = {}
        self._sources = sources
        self._clock = context.clock
        host = _host(opener, context)
        self._sampler = PowerSampler(host, context.power_interval_s, sources.power, context.warn, context.clock)

    @property
    def domains(self) -> frozenset[str]:
        return frozenset(device.domain for device in self.active)

    @property
    def device_uuids(self) -> frozenset[str]:
        """Empty. A meter whose devices have the UUIDs that torch gives them overrides this."""
        return frozenset()

    @property
    def steady_s(self) -> float:
        """Long enough for the longest lag, two ticks of a slow counter, and half of what a power reading averages."""
        averaging_s = [device.power.averaging_s for device in self.active if device.power]
        return STEADY_S + max(averaging_s, default=0.0) / 2 if self.active else 0.0

    def prepare(self, phase: str) -> None:  # noqa: ARG002
        self._sampler.start(self.active)

    def begin(self, phase: str) -> None:  # noqa: ARG002
        self._sampler.opened()

    def end(self) -> None:
        self._sampler.closed()

    def finish(self, span: Span) -> Finished:
        """Follow the devices for as long as what they show is of the window, and work out its entries."""
        self._clock.sleep(max(0.0, span.end_s + self._follow_s() - self._clock.now_s()))
        read = self._sampler.stop(span.phase, span.start_s, span.end_s)
        entries: list[LedgerEntry] = []
        intervals: list[Interval] = []
        findings = trace_incomplete(self._sampler.trouble)
        sensors: dict[str, PartTime] = {}
        rebook: dict[str, Callable[[Sequence[Cycles]], LedgerEntry]] = {}
        self.readings = {}
        for device in self.active:
            samples = [sample for sample in read.samples if sample.uuid == device.uuid]
            inside = [sample.reading for sample in samples if span.start_s <= sample.time_s <= span.end_s]
            self.readings[device.uuid] = inside
            entry, pieces, doubts = self._booked(span, device, read.counters[device.uuid], samples)
            entries.append(entry)
            intervals += pieces
            findings += doubts
            if device.family.seen_share < 1:
                sensors[device.uuid] = _part_time(device)
                rebook[device.uuid] = self._again(span, device, read.counters[device.uuid], samples, entry)
        return Finished(entries, intervals, findings, sensors=sensors, rebook=rebook)

    def trace(self) -> list[dict[str, Any]]:
        return self._sampler.trace()

    def close(self) -> None:
        self._sampler.close()

    def _follow_s(self) -> float:
        """How long after its end a window is followed: until a tick after the longest lag, and averages are down."""
        follow_for_s = [0.0]
        for device in self.active:
            if device.counter_missing is None:
                period_s = LONGEST_TICK_S if device.tick_period is None else device.tick_period.period_s
                follow_for_s.append(device.family.lag_bound_s + min(FOLLOWED_TICKS * period_s, LONGEST_TICK_S))
            elif device.power:
                follow_for_s.append(follow_s(device.power.averaging_s))
        return max(follow_for_s)

    def _booked(
        self,
        span: Span,
        device: TickingDevice,
        readings: Sequence[CounterReading],
        samples: Sequence[PowerSample],
    ) -> tuple[LedgerEntry, list[Interval], list[Finding]]:
        """One device's entry, its pieces, and what is wrong with it as a whole."""
        power = self._power_window(device, samples)
        account = Account(device.uuid, device.domain, self._sources.counter)
        if power is not None and device.counter_missing is not None:
            account = power.account
        if any(reading.lost for reading in readings) or any(sample.reading.lost for sample in samples):
            reason = "the device was lost in the window (GPU is lost)"
            return span.unknown(*account, reason), [], [device_lost(device.uuid, span.phase)]
        if power is not None and device.counter_missing is not None:
            return *power_entry(span, power), []
        noise = None if power is None else noise_component(span, power)
        entry, pieces = counter_entry(span, CounterWindow(account, device.family, readings, device.tick_period, noise))
        check = None if power is None else cross_check(span, entry, power)
        if check is None:
            return entry, pieces, []
        findings = [] if check.agrees else [disagreement(entry, check)]
        return replace(entry, cross_check=check.to_dict()), pieces, findings

    def _again(
        self,
        span: Span,
        device: TickingDevice,
        readings: Sequence[CounterReading],
        samples: Sequence[PowerSample],
        entry: LedgerEntry,
    ) -> Callable[[Sequence[Cycles]], LedgerEntry]:
        """The entry of a device once it is known what repeated; the same where that changes nothing.

        Counter and power readings come from one sensor, so their comparison stays that of what it showed.
        """
        power = self._power_window(device, samples)
        noise = None if power is None else noise_component(span, power)
        account = Account(device.uuid, device.domain, self._sources.counter)

        def again(loops: Sequence[Cycles]) -> LedgerEntry:
            if device.counter_missing is not None or entry.energy_j is None:
                return entry
            window = CounterWindow(account, device.family, readings, device.tick_period, noise, loops)
            return replace(counter_entry(span, window)[0], cross_check=entry.cross_check)

        return again

    def _power_window(self, device: TickingDevice, samples: Sequence[PowerSample]) -> PowerWindow | None:
        """None where the device does not report its power."""
        if device.power is None or self._sources.power is None:
            return None
        failure = next((sample.reading.error for sample in samples if sample.reading.power_w is None), None)
        points = [(sample.time_s, sample.reading.power_w) for sample in samples if sample.reading.power_w is not None]
        account = Account(device.uuid, device.domain, self._sources.power)
        return PowerWindow(account, device.family, device.power.name, device.power.averaging_s, points, failure)


def _part_time(device: TickingDevice) -> PartTime:
    family, period = device.family, device.tick_period
    if device.counter_missing is not None or period is None:
        return PartTime(2 * UPDATE_LAG_S, family.seen_share, family.lag_bound_s, regular=False)
    regular = period.spread_s <= UNSTEADY * period.period_s
    return PartTime(period.period_s, family.seen_share, family.lag_bound_s, regular)


def _host(opener: str | None, context: MeterContext) -> Host:
    """A process of its own, wherever that can open the devices and read the meters' clock."""
    if opener is not None and context.clock.across_processes:
        return SamplerProcess(opener, context.power_interval_s)
    return SamplerThread(context.power_interval_s, context.clock)

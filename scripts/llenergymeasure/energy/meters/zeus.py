"""Zeus: energy counters that our own meters do not reach, such as those of AMD GPUs and of Jetson boards.

Only Zeus's device layer is used (`zeus.device`, You et al., NSDI '23): it knows how to read them. Windows, ticks and
uncertainty are those of the other counters here. Opened only where a study names it, since it is not installed with us.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from typing import Any

from llenergymeasure.energy.clock import Clock
from llenergymeasure.energy.findings import trace_incomplete
from llenergymeasure.energy.integration.counter_energy import CounterWindow, counter_entry
from llenergymeasure.energy.integration.sensors import family_of
from llenergymeasure.energy.integration.ticks import CounterFailed, CounterReading, Period, characterise, read_counter
from llenergymeasure.energy.ledger import Account, Finished, Interval, LedgerEntry, Span
from llenergymeasure.energy.meter import MeterContext, MeterUnavailable
from llenergymeasure.energy.sampling.power_sampler import PowerReading, PowerSampler
from llenergymeasure.energy.sampling.thread import SamplerThread

SOURCE = "measured:zeus"
# The longest lag, the polling after an edge and a tick more; and how long a window's end is followed.
STEADY_S, FOLLOW_S = 0.5, 0.35
# What the parts of a system on a chip are called there; what else it tells is in no domain of ours.
SOC_PARTS = {
    "cpu": ("cpu_total_mj", "cpu_energy_mj"),
    "gpu": ("gpu_mj", "gpu_energy_mj"),
    "ram": ("dram_mj",),
}


@dataclass(frozen=True)
class ZeusCounter:
    """One counter; `read` gives millijoules or raises CounterFailed."""

    uuid: str
    domain: str
    board: str
    read: Callable[[], int]
    clock: Clock

    def count(self) -> CounterReading:
        return read_counter(self.read, self.clock)

    def sample(self) -> PowerReading:
        """Nothing: Zeus is asked for its counters alone."""
        return PowerReading(power_w=None)


def open_zeus(context: MeterContext) -> ZeusMeter:
    """Find what Zeus can read and no meter opened before covers (six tenths of a second).

    Raises:
        MeterUnavailable: Zeus is not installed, or finds nothing to measure.
    """
    try:
        found, refused = _counters(context.clock)
    except ImportError as error:
        reason = f"it can't be imported ({error}); `python -m pip install zeus` into this environment"
        raise MeterUnavailable("zeus", reason) from error
    wanted = [counter for counter in found if counter.domain not in context.covered_domains]
    if not wanted:
        covered = "; what it finds is covered by another meter already" if found else ""
        raise MeterUnavailable("zeus", f"{'; '.join(refused) or 'it reads no counter'}{covered}")
    gpus = [counter.uuid for counter in wanted if counter.domain == "gpu"]
    if len(gpus) > 1:
        context.warn(
            "zeus_all_gpus",
            f"Zeus's GPUs can't be matched with those that hold the model, so all {len(gpus)} visible ones are "
            "counted; hide the others with CUDA_VISIBLE_DEVICES or HIP_VISIBLE_DEVICES",
        )
    periods = characterise({counter.uuid: counter.read for counter in wanted}, context.clock)
    return ZeusMeter(context, wanted, periods, refused)


def _counters(clock: Clock) -> tuple[list[ZeusCounter], list[str]]:
    """Every counter, and in words what has none."""
    from zeus.device import get_gpus, get_soc
    from zeus.device.exception import ZeusBaseGPUError, ZeusBaseSoCError

    found: list[ZeusCounter] = []
    refused: list[str] = []
    try:
        gpus = get_gpus()
        for index in range(len(gpus)):
            name = str(gpus.get_name(index))
            if gpus.supports_get_total_energy_consumption(index):
                read = _guarded(partial(gpus.get_total_energy_consumption, index), ZeusBaseGPUError)
                found.append(ZeusCounter(f"gpu-{index}", "gpu", name, read, clock))
            else:
                refused.append(f"gpu-{index} ({name}) has no energy counter")
    except ValueError as error:
        # It takes what lists the visible devices for numbers.
        refused.append(f"no GPU: Zeus can't read CUDA_VISIBLE_DEVICES or HIP_VISIBLE_DEVICES, use numbers ({error})")
    except ZeusBaseGPUError as error:
        refused.append(f"no GPU: {error}")
    try:
        soc = get_soc()
        told = vars(soc.get_total_energy_consumption())
        for domain, names in SOC_PARTS.items():
            part = next((name for name in names if told.get(name) is not None), None)
            if part is not None:
                read = _guarded(partial(_of_soc, soc, part), ZeusBaseSoCError)
                found.append(ZeusCounter(f"soc-{domain}", domain, type(soc).__name__, read, clock))
    except ZeusBaseSoCError as error:
        refused.append(f"no system on a chip: {error}")
    return found, refused


def _of_soc(soc: Any, name: str) -> Any:
    return getattr(soc.get_total_energy_consumption(), name)


def _guarded(read: Callable[[], Any], failure: type[Exception]) -> Callable[[], int]:
    def guarded() -> int:
        try:
            return int(read())
        except failure as error:
            raise CounterFailed(str(error)) from error

    return guarded


class ZeusMeter:
    """Counters of the whole devices; every process on them counts."""

    name = "zeus"
    # Zeus numbers devices; the UUIDs that torch knows cannot be matched with its numbers on every platform.
    device_uuids: frozenset[str] = frozenset()

    def __init__(
        self,
        context: MeterContext,
        counters: list[ZeusCounter],
        periods: Mapping[str, Period | None],
        refused: list[str],
    ) -> None:
        self._clock = context.clock
        self._all = counters
        self._active = counters
        self._periods = periods
        self._refused = refused
        host = SamplerThread(context.power_interval_s, context.clock)
        self._sampler = PowerSampler(host, context.power_interval_s, SOURCE, context.warn, context.clock)

    @property
    def domains(self) -> frozenset[str]:
        return frozenset(counter.domain for counter in self._active)

    def restrict(self, device_uuids: Collection[str]) -> None:
        self._active = [counter for counter in self._all if device_uuids or counter.domain != "gpu"]

    @property
    def steady_s(self) -> float:
        return STEADY_S if self._active else 0.0

    def prepare(self, phase: str) -> None:  # noqa: ARG002
        self._sampler.start(self._active)

    def begin(self, phase: str) -> None:  # noqa: ARG002
        self._sampler.opened()

    def end(self) -> None:
        self._sampler.closed()

    def finish(self, span: Span) -> Finished:
        self._clock.sleep(max(0.0, span.end_s + FOLLOW_S - self._clock.now_s()))
        readings = self._sampler.stop(span.phase, span.start_s, span.end_s)
        finished = [self._finished(span, counter, readings.counters[counter.uuid]) for counter in self._active]
        return Finished(
            [entry for entry, _ in finished],
            [piece for _, pieces in finished for piece in pieces],
            trace_incomplete(self._sampler.trouble),
        )

    def _finished(
        self, span: Span, counter: ZeusCounter, readings: Sequence[CounterReading]
    ) -> tuple[LedgerEntry, list[Interval]]:
        account = Account(counter.uuid, counter.domain, SOURCE)
        window = CounterWindow(account, family_of(counter.board), readings, self._periods[counter.uuid])
        return counter_entry(span, window)

    def trace(self) -> list[dict[str, Any]]:
        return []

    def describe(self) -> dict[str, Any]:
        return {
            "meter": self.name,
            "library": f"zeus {version('zeus')}",
            "devices": [
                {
                    "uuid": None,
                    "name": counter.board,
                    "domain": counter.domain,
                    "how": f"the energy counter of {counter.uuid}, all processes on it",
                    "counter_update_period_s": None if period is None else period.period_s,
                    "sensor_gain_bound": family_of(counter.board).gain_bound,
                    "metered": counter in self._active,
                }
                for counter in self._all
                for period in (self._periods[counter.uuid],)
            ],
            "refused": [{"device": None, "reason": reason} for reason in self._refused],
        }

    def close(self) -> None:
        """Zeus's device layer is one per process and closes itself."""
        self._sampler.close()

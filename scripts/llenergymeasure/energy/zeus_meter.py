"""Zeus: energy counters that our own meters do not reach, such as those of AMD GPUs and of Jetson boards.

Only Zeus's device layer is used (`zeus.device`, You et al., NSDI '23): it knows how to read them. Windows, ticks and
uncertainty are those of the other counters here. Opened only where a study names it, since it is not installed with us.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import version
from typing import Any

from llenergymeasure.energy.counter_energy import CounterWindow, counter_entry
from llenergymeasure.energy.device_families import family_of
from llenergymeasure.energy.ledger import Finished, LedgerEntry, Span
from llenergymeasure.energy.meter import MeterContext, MeterUnavailable
from llenergymeasure.energy.ticks import CounterFailed, Period, Reading, characterise, next_ticks, try_now

SOURCE = "measured:zeus"
TICK_TIMEOUT_S = 0.25
# What the parts of a system on a chip are called there; what else it tells is in no domain of ours.
SOC_PARTS = {
    "cpu": ("cpu_total_mj", "cpu_energy_mj"),
    "gpu": ("gpu_mj", "gpu_energy_mj"),
    "ram": ("dram_mj",),
}


@dataclass(frozen=True)
class ZeusCounter:
    """One counter; `read` gives millijoules or raises CounterFailed."""

    device: str
    domain: str
    board: str
    read: Callable[[], int]


def open_zeus(context: MeterContext) -> ZeusMeter:
    """Find what Zeus can read and no meter opened before covers (six tenths of a second).

    Raises:
        MeterUnavailable: Zeus is not installed, or finds nothing to measure.
    """
    try:
        found, refused = _counters()
    except ImportError as error:
        reason = f"it can't be imported ({error}); `python -m pip install zeus` into this environment"
        raise MeterUnavailable("zeus", reason) from error
    wanted = [counter for counter in found if counter.domain not in context.covered_domains]
    if not wanted:
        covered = "; what it finds is covered by another meter already" if found else ""
        raise MeterUnavailable("zeus", f"{'; '.join(refused) or 'it reads no counter'}{covered}")
    gpus = [counter.device for counter in wanted if counter.domain == "gpu"]
    if len(gpus) > 1:
        context.warn(
            "zeus_all_gpus",
            f"Zeus's GPUs can't be matched with those that hold the model, so all {len(gpus)} visible ones are "
            "counted; hide the others with CUDA_VISIBLE_DEVICES or HIP_VISIBLE_DEVICES",
        )
    periods = characterise({counter.device: counter.read for counter in wanted}, context.clock)
    return ZeusMeter(context, wanted, periods, refused)


def _counters() -> tuple[list[ZeusCounter], list[str]]:
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
                found.append(ZeusCounter(f"gpu-{index}", "gpu", name, read))
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
                found.append(ZeusCounter(f"soc-{domain}", domain, type(soc).__name__, read))
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
        self._starts: dict[str, Reading | CounterFailed] = {}
        self._ends: dict[str, Reading | CounterFailed] = {}

    @property
    def domains(self) -> frozenset[str]:
        return frozenset(counter.domain for counter in self._active)

    def restrict(self, device_uuids: Collection[str]) -> None:
        self._active = [counter for counter in self._all if device_uuids or counter.domain != "gpu"]

    def begin(self, phase: str) -> float | None:  # noqa: ARG002
        ticking = {each.device: each.read for each in self._active if self._periods[each.device] is not None}
        leader = next(iter(ticking), None)
        self._starts = next_ticks(ticking, self._clock, TICK_TIMEOUT_S, leader=leader) if ticking else {}
        for counter in self._active:
            if counter.device not in ticking:
                self._starts[counter.device] = try_now(counter.read, self._clock)
        start = None if leader is None else self._starts[leader]
        return start.time_s if isinstance(start, Reading) and start.on_tick else None

    def end(self) -> None:
        self._ends = {counter.device: try_now(counter.read, self._clock) for counter in self._active}

    def finish(self, span: Span) -> Finished:
        ticking = {each.device: each.read for each in self._active if self._periods[each.device] is not None}
        following = next_ticks(ticking, self._clock, TICK_TIMEOUT_S) if ticking else {}
        # No intervals: between two edges there is no trace that phases could be split by.
        return Finished([self._entry(span, counter, following.get(counter.device)) for counter in self._active])

    def _entry(self, span: Span, counter: ZeusCounter, following: Reading | CounterFailed | None) -> LedgerEntry:
        start, end = self._starts[counter.device], self._ends[counter.device]
        for edge, reading in (("start", start), ("end", end)):
            if isinstance(reading, CounterFailed):
                reason = f"reading the counter failed at the {edge} of the window: {reading}"
                return span.unknown(counter.device, counter.domain, SOURCE, reason)
        assert isinstance(start, Reading) and isinstance(end, Reading)
        after = following if isinstance(following, Reading) and following.on_tick else None
        window = CounterWindow(
            counter.device, family_of(counter.board), start, end, after, (), self._periods[counter.device]
        )
        entry, _ = counter_entry(span, window)
        return replace(entry, source=SOURCE, domain=counter.domain)

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
                    "how": f"the energy counter of {counter.device}, all processes on it",
                    "counter_update_period_s": None if period is None else period.period_s,
                    "sensor_gain_bound": family_of(counter.board).gain_bound,
                    "metered": counter in self._active,
                }
                for counter in self._all
                for period in (self._periods[counter.device],)
            ],
            "refused": [{"device": None, "reason": reason} for reason in self._refused],
        }

    def close(self) -> None:
        """Nothing: Zeus's device layer is one a process and closes itself."""

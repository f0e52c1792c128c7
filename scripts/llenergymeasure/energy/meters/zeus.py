"""Zeus: energy counters that our own meters do not reach, such as those of AMD GPUs and of Jetson boards.

Only Zeus's device layer is used (`zeus.device`, You et al., NSDI '23): it knows how to read them. Windows, ticks and
uncertainty are those of the other counters here. Opened only where a study names it, since it is not installed with us.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from typing import Any

from llenergymeasure.energy.clock import Clock
from llenergymeasure.energy.integration.sensors import family_of
from llenergymeasure.energy.integration.ticks import CounterFailed, characterise
from llenergymeasure.energy.meter import MeterContext, MeterUnavailable
from llenergymeasure.energy.ticking_counters import Counter, Sources, TickingCounters

SOURCES = Sources(counter="measured:zeus")
# What the parts of a system on a chip are called there; what else it tells is in no domain of ours.
SOC_PARTS = {
    "cpu": ("cpu_total_mj", "cpu_energy_mj"),
    "gpu": ("gpu_mj", "gpu_energy_mj"),
    "ram": ("dram_mj",),
}


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
            "zeus-all-gpus",
            f"Zeus's GPUs can't be matched with those that hold the model, so all {len(gpus)} visible ones are "
            "counted; hide the others with CUDA_VISIBLE_DEVICES or HIP_VISIBLE_DEVICES",
        )
    periods = characterise({counter.uuid: counter.read for counter in wanted}, context.clock)
    counters = [replace(counter, tick_period=periods[counter.uuid]) for counter in wanted]
    return ZeusMeter(context, counters, refused)


def _counters(clock: Clock) -> tuple[list[Counter], list[str]]:
    """Every counter, and in words what has none."""
    from zeus.device import get_gpus, get_soc
    from zeus.device.exception import ZeusBaseGPUError, ZeusBaseSoCError

    found: list[Counter] = []
    refused: list[str] = []
    try:
        gpus = get_gpus()
        for index in range(len(gpus)):
            name = str(gpus.get_name(index))
            if gpus.supports_get_total_energy_consumption(index):
                read = _guarded(partial(gpus.get_total_energy_consumption, index), ZeusBaseGPUError)
                found.append(Counter(f"gpu-{index}", name, "gpu", family_of(name), read, clock))
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
                board = type(soc).__name__
                found.append(Counter(f"soc-{domain}", board, domain, family_of(board), read, clock))
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


class ZeusMeter(TickingCounters[Counter]):
    """Counters of the whole devices; every process on them counts.

    Zeus numbers devices; the UUIDs that torch knows cannot be matched with its numbers on every platform. Its device
    layer is one per process and closes itself.
    """

    name = "zeus"

    def __init__(self, context: MeterContext, counters: list[Counter], refused: list[str]) -> None:
        super().__init__(counters, SOURCES, context)
        self._all = counters
        self._refused = refused

    def restrict(self, device_uuids: Collection[str]) -> None:
        self.active = [counter for counter in self._all if device_uuids or counter.domain != "gpu"]

    def describe(self) -> dict[str, Any]:
        return {
            "meter": self.name,
            "library": f"zeus {version('zeus')}",
            "devices": [
                {
                    "uuid": None,
                    "name": counter.name,
                    "domain": counter.domain,
                    "how": f"the energy counter of {counter.uuid}, all processes on it",
                    "counter_update_period_s": counter.tick_period and counter.tick_period.period_s,
                    "sensor_gain_bound": counter.family.gain_bound,
                    "metered": counter in self.active,
                }
                for counter in self._all
            ],
            "refused": [{"device": None, "reason": reason} for reason in self._refused],
        }

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
from llenergymeasure.energy.integration.sensors import family_from_name
from llenergymeasure.energy.integration.ticks import CounterFailed, characterise
from llenergymeasure.energy.meter import MeterContext, MeterUnavailable
from llenergymeasure.energy.ticking_counters import Counter, Sources, TickingCounters

SOURCES = Sources(counter="measured:zeus")
# Zeus's names of the parts of a system on a chip; what else it reports belongs to none of our domains.
SOC_PARTS = {
    "cpu": ("cpu_total_mj", "cpu_energy_mj"),
    "gpu": ("gpu_mj", "gpu_energy_mj"),
    "dram": ("dram_mj",),
}


def open_zeus(context: MeterContext) -> ZeusMeter:
    """Find what Zeus can read and no meter opened before covers (six tenths of a second).

    Raises:
        MeterUnavailable: Zeus is not installed, or finds nothing to measure.
    """
    try:
        available, refused = _counters(context.clock)
    except ImportError as error:
        reason = f"it cannot be imported ({error}); run `python -m pip install zeus` in this environment"
        raise MeterUnavailable("zeus", reason) from error
    uncovered = [counter for counter in available if counter.domain not in context.covered_domains]
    if not uncovered:
        covered = "; what it finds is covered by another meter already" if available else ""
        raise MeterUnavailable("zeus", f"{'; '.join(refused) or 'it reads no counter'}{covered}")
    gpus = [counter.uuid for counter in uncovered if counter.domain == "gpu"]
    if len(gpus) > 1:
        context.warn(
            "zeus-all-gpus",
            f"Zeus's GPUs cannot be matched with those that hold the model, so all {len(gpus)} visible ones are "
            "counted; hide the others with CUDA_VISIBLE_DEVICES or HIP_VISIBLE_DEVICES",
        )
    periods = characterise({counter.uuid: counter.read for counter in uncovered}, context.clock)
    counters = [replace(counter, tick_period=periods[counter.uuid]) for counter in uncovered]
    return ZeusMeter(context, counters, refused)


def _counters(clock: Clock) -> tuple[list[Counter], list[str]]:
    """Every counter, and one text for each device that has none."""
    from zeus.device import get_gpus, get_soc
    from zeus.device.exception import ZeusBaseGPUError, ZeusBaseSoCError

    counters: list[Counter] = []
    refused: list[str] = []
    try:
        gpus = get_gpus()
        for index in range(len(gpus)):
            name = str(gpus.get_name(index))
            if gpus.supports_get_total_energy_consumption(index):
                read = _guarded(partial(gpus.get_total_energy_consumption, index), ZeusBaseGPUError)
                counters.append(Counter(f"gpu-{index}", name, "gpu", family_from_name(name), read, clock))
            else:
                refused.append(f"gpu-{index} ({name}) has no energy counter")
    except ValueError as error:
        # Zeus expects numbers in the list of visible devices.
        refused.append(f"no GPU: Zeus cannot read CUDA_VISIBLE_DEVICES or HIP_VISIBLE_DEVICES; use numbers ({error})")
    except ZeusBaseGPUError as error:
        refused.append(f"no GPU: {error}")
    try:
        soc = get_soc()
        readings = vars(soc.get_total_energy_consumption())
        for domain, names in SOC_PARTS.items():
            part = next((name for name in names if readings.get(name) is not None), None)
            if part is not None:
                read = _guarded(partial(_read_soc, soc, part), ZeusBaseSoCError)
                board = type(soc).__name__
                counters.append(Counter(f"soc-{domain}", board, domain, family_from_name(board), read, clock))
    except ZeusBaseSoCError as error:
        refused.append(f"no system on a chip: {error}")
    return counters, refused


def _read_soc(soc: Any, name: str) -> Any:
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

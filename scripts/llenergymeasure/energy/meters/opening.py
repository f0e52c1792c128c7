"""From the study's energy settings to open meters."""

from __future__ import annotations

import os
import pkgutil
from typing import TYPE_CHECKING

from llenergymeasure.energy.clock import CLOCK, Clock
from llenergymeasure.energy.meter import Meter, MeterContext, MeterUnavailable
from llenergymeasure.energy.meter_set import MeterSet
from llenergymeasure.energy.meters.host.watcher import HostWatcher
from llenergymeasure.energy.warning_log import WarningLog
from llenergymeasure.records.findings import FOREIGN_LOAD
from llenergymeasure.records.meters import METERS, MeterEntry, opened_only_when_named

if TYPE_CHECKING:
    from llenergymeasure.config import EnergyConfig


def prepare_meters(config: EnergyConfig) -> None:
    """Begin what takes time and no processor, so that `open_meters` is quicker if other work comes between."""
    for entry in _wanted(config):
        if entry.begun_by is not None:
            pkgutil.resolve_name(entry.begun_by)()


def open_meters(config: EnergyConfig, clock: Clock = CLOCK, *, foreign_load: float = FOREIGN_LOAD) -> MeterSet:
    """Open the meters of `energy.meters`, or all that work here.

    foreign_load: measurement.foreign_load

    Takes seconds, so that windows take none; call it before torch touches CUDA.

    Raises:
        MeterUnavailable: a meter that `energy.meters` names cannot work on this machine.
    """
    warn = WarningLog()
    meters: list[Meter] = []
    refused: list[dict[str, str]] = []
    for name in config.meters or ():
        if name not in METERS:
            raise MeterUnavailable(name, f"there is no such meter, only {', '.join(METERS)}")
    to_open = _wanted(config)
    try:
        for entry in to_open:
            covered: frozenset[str] = frozenset().union(*(meter.domains for meter in meters))
            context = MeterContext(os.environ, config.power_interval_s, clock, covered, warn)
            try:
                meters.append(pkgutil.resolve_name(entry.opened_by)(context))
            except MeterUnavailable as refusal:
                if config.meters is not None:
                    raise
                refused.append({"meter": entry.name, "reason": refusal.reason})
    except BaseException:
        for meter in meters:
            meter.close()
        raise
    if to_open:
        no_meter = "no meter works here: " + "; ".join(
            f"{refusal['meter']}: {refusal['reason']}" for refusal in refused
        )
    else:
        no_meter = "energy.meters is empty: the study asks for no energy"
    watchers = [HostWatcher(clock, foreign_load)]
    return MeterSet(
        meters,
        warn,
        refused=refused,
        no_meter=no_meter,
        watchers=watchers,
        boundary=config.boundary,
        clock=clock,
    )


def no_meters() -> MeterSet:
    """For the further processes of an experiment: the first one meters the devices of all of them."""
    reason = "the first process meters for all"
    return MeterSet([], WarningLog(), refused=[], no_meter=reason)


def _wanted(config: EnergyConfig) -> list[MeterEntry]:
    """The meters to open, in the catalogue's order."""
    unasked = METERS.keys() - set(opened_only_when_named())
    return [entry for name, entry in METERS.items() if name in (unasked if config.meters is None else config.meters)]

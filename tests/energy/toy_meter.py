"""A meter that the project does not have, as a newcomer would add it: this file, and the entry at its end.

It reads a wall plug that draws `WATTS`, by a counter that moves every 20 ms.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Any

from llenergymeasure.energy.integration.sensors import UNKNOWN
from llenergymeasure.energy.integration.ticks import characterise
from llenergymeasure.energy.meter import MeterContext
from llenergymeasure.energy.ticking_counters import Counter, Sources, TickingCounters
from llenergymeasure.records.meters import METERS, MeterEntry, Source

WATTS, TICK_S = 50, 0.02


def open_toy(context: MeterContext) -> ToyMeter:
    def millijoules() -> int:
        return int(1000 * WATTS * TICK_S * (context.clock.now_s() // TICK_S))

    plug = Counter("plug-0", "Wall plug", "total", UNKNOWN, millijoules, context.clock)
    periods = characterise({plug.uuid: plug.read}, context.clock)
    return ToyMeter(replace(plug, tick_period=periods[plug.uuid]), context)


class ToyMeter(TickingCounters[Counter]):
    name = "toy"

    def __init__(self, plug: Counter, context: MeterContext) -> None:
        super().__init__([plug], Sources("measured:toy"), context)

    def restrict(self, device_uuids: Collection[str]) -> None:
        """Nothing: the plug powers the whole machine."""

    def describe(self) -> dict[str, Any]:
        devices = [{"uuid": None, "name": plug.name, "domain": plug.domain, "metered": True} for plug in self.active]
        return {"meter": self.name, "devices": devices, "refused": []}


ENTRY = MeterEntry(
    "toy",
    "toy_meter:open_toy",
    "wall plugs",
    (Source("measured:toy", "the whole machine", "a counter that a test made up"),),
    at_intervals=True,
    needs="a wall plug",
)


def register() -> None:
    """The one line of the catalogue. To be called before the config is imported, which takes its type from there."""
    METERS["toy"] = ENTRY

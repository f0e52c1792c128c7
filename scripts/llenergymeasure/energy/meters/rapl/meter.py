"""RAPL: the energy counters of CPU packages and their memory, through Linux's powercap tree."""

from __future__ import annotations

import math
import statistics
from collections.abc import Collection, Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from llenergymeasure.energy.findings import trace_incomplete
from llenergymeasure.energy.ledger import Finished, Interval, Span
from llenergymeasure.energy.meter import MeterContext, MeterUnavailable
from llenergymeasure.energy.meters.rapl.counter_reader import CounterReader, Reading, read_zones
from llenergymeasure.energy.meters.rapl.energy import (
    SOURCE,
    Implausible,
    Piece,
    longest_gap_s,
    rapl_entry,
    split_window,
)
from llenergymeasure.energy.meters.rapl.powercap import PSYS, Zone, find_zones

POWERCAP = Path("/sys/class/powercap")

# A counter that is alive moves every millisecond; virtual machines show some that never do.
CHARACTERISE_S = 0.25
CHARACTERISE_STEPS = 10
POLL_S = 0.0001
# Reading more often than twice in this time would cost the measured process more than it is worth.
SHORTEST_GAP_S = 0.02


def open_rapl(context: MeterContext) -> RaplMeter:
    """Find the packages and learn how often their counters are updated (a few hundredths of a second).

    Raises:
        MeterUnavailable: no RAPL here, no right to read it, or counters that stand still.
    """
    candidates = find_zones(POWERCAP, context.covered_domains)
    periods_s = _update_periods(candidates.readable, context)
    alive: list[Zone] = []
    refused = list(candidates.refused)
    for zone in candidates.readable:
        if zone.label not in periods_s:
            refused.append(
                (zone.label, f"its counter stood still for {CHARACTERISE_S:g} s, as in many virtual machines")
            )
        elif longest_gap_s(zone) < SHORTEST_GAP_S:
            refused.append(
                (zone.label, f"its counter wraps around every {zone.range_uj / 1e6:g} J, too soon to follow")
            )
        else:
            alive.append(zone)
    if not any(zone.domain != PSYS for zone in alive):
        raise MeterUnavailable("rapl", _why_none(refused))
    return RaplMeter(context, alive, periods_s, refused)


def _why_none(refused: Sequence[tuple[str, str]]) -> str:
    if refused:
        return "; ".join(f"{device}: {reason}" for device, reason in refused)
    return (
        f"no package in {POWERCAP}/intel-rapl:* (no RAPL in this CPU or virtual machine, or its driver is not loaded: "
        "`sudo modprobe intel_rapl_msr`)"
    )


def _update_periods(zones: Sequence[Zone], context: MeterContext) -> dict[str, float]:
    """Seconds between updates by zone; zones whose counter stood still are missing."""
    latest = read_zones(zones, context.clock)
    moved_s: dict[str, list[float]] = {zone.label: [] for zone in zones}
    deadline_s = latest.time_s + CHARACTERISE_S
    while latest.time_s < deadline_s and any(len(times_s) <= CHARACTERISE_STEPS for times_s in moved_s.values()):
        context.clock.sleep(POLL_S)
        previous, latest = latest, read_zones(zones, context.clock)
        for label, value in latest.values.items():
            if value != previous.values[label]:
                moved_s[label].append(latest.time_s)
    return {
        # One step only: slower than half of the time that was waited.
        label: statistics.median(later - earlier for earlier, later in pairwise(times_s))
        if len(times_s) > 1
        else CHARACTERISE_S
        for label, times_s in moved_s.items()
        if times_s
    }


class RaplMeter:
    """Energy of the packages of the machine and of their memory; every process on it counts."""

    name = "rapl"
    device_uuids: frozenset[str] = frozenset()

    def __init__(
        self,
        context: MeterContext,
        zones: Sequence[Zone],
        periods_s: dict[str, float],
        refused: Sequence[tuple[str, str]],
    ) -> None:
        self._warn = context.warn
        self._zones = [zone for zone in zones if zone.domain != PSYS]
        self._platform = [zone for zone in zones if zone.domain == PSYS]
        self._periods_s = periods_s
        self._refused = list(refused)
        # Twice as often as the fastest counter can wrap around.
        self._interval_s = min(context.power_interval_s, *(longest_gap_s(zone) / 2 for zone in zones))
        self._reader = CounterReader(zones, self._interval_s, context.clock)
        self._readings: list[Reading] = []
        self._rows: list[dict[str, Any]] = []

    @property
    def domains(self) -> frozenset[str]:
        return frozenset(zone.domain for zone in self._zones)

    def restrict(self, device_uuids: Collection[str]) -> None:
        """Nothing: the machine's packages work for whichever accelerator is used."""

    @property
    def steady_s(self) -> float:
        return 0.0

    def prepare(self, phase: str) -> None:
        """Nothing: beginning takes no time."""

    def begin(self, phase: str) -> None:  # noqa: ARG002
        # A counter that moves every millisecond needs no window that waits for it.
        self._reader.start()

    def end(self) -> None:
        self._readings = self._reader.stop()

    def finish(self, span: Span) -> Finished:
        trouble = self._judge(span.phase)
        entries = [rapl_entry(span, zone, self._readings, self._periods_s[zone.label]) for zone in self._zones]
        pieces = {zone.label: _pieces_or_none(zone, self._readings) for zone in self._zones}
        for zone in self._zones:
            self._rows += [_row(span.phase, zone, piece) for piece in pieces[zone.label] or ()]
        return Finished(
            entries,
            intervals=[piece for device in self._devices() for piece in self._intervals(device, pieces)],
            findings=trace_incomplete(trouble),
            facts={"rapl": {"psys": [self._platform_fact(zone) for zone in self._platform]}} if self._platform else {},
        )

    def _judge(self, phase: str) -> str | None:
        """Warn of what went wrong. Returns what the window's trace lacks, None where it is complete."""
        trouble = None
        if self._reader.death is not None:
            trouble = f"the power trace of phase {phase} is incomplete: {self._reader.death}"
            self._warn("rapl-reader-died", trouble)
        for zone in self._zones:
            errors = [error for taken in self._readings if isinstance(error := taken.values[zone.label], str)]
            if errors:
                self._warn(
                    "rapl-read-failed",
                    f"{zone.label}: {len(errors)} of {len(self._readings)} readings failed in phase {phase}: "
                    f"{errors[0]}",
                )
        return trouble

    def _devices(self) -> Iterable[str]:
        return dict.fromkeys(zone.device for zone in self._zones)

    def _intervals(self, device: str, pieces: dict[str, list[Piece] | None]) -> list[Interval]:
        """A package with its memory, where both are known all the time: a part would pass for the whole."""
        own = [pieces[zone.label] for zone in self._zones if zone.device == device]
        known = [series for series in own if series is not None]
        if len(known) < len(own) or len({len(series) for series in known}) > 1:
            return []
        return [
            Interval(device, same[0].start_s, same[0].end_s, math.fsum(piece.energy_j for piece in same))
            for same in zip(*known, strict=True)
        ]

    def _platform_fact(self, zone: Zone) -> dict[str, Any]:
        """The whole platform's energy contains the packages' energy, so it is not part of any sum."""
        try:
            pieces = split_window(zone, self._readings)
        except Implausible as implausible:
            return {"energy_j": None, "reason": str(implausible)}
        return {"energy_j": math.fsum(piece.energy_j for piece in pieces), "reason": None}

    def trace(self) -> list[dict[str, Any]]:
        rows, self._rows = self._rows, []
        return rows

    def describe(self) -> dict[str, Any]:
        return {
            "meter": self.name,
            "devices": [
                {
                    "uuid": None,
                    "name": zone.device,
                    "domain": zone.domain,
                    "how": f"RAPL counter {zone.counter}, all processes of the machine; not the wall",
                    "update_period_s": self._periods_s[zone.label],
                    "wraps_at_j": zone.range_uj / 1e6,
                    "metered": zone in self._zones,
                }
                for zone in (*self._zones, *self._platform)
            ],
            "refused": [{"device": device, "reason": reason} for device, reason in self._refused],
            "reading_interval_s": self._interval_s,
        }

    def close(self) -> None:
        self._reader.close()


def _pieces_or_none(zone: Zone, readings: Sequence[Reading]) -> list[Piece] | None:
    try:
        return split_window(zone, readings)
    except Implausible:
        return None  # the zone's entry has the reason


def _row(phase: str, zone: Zone, piece: Piece) -> dict[str, Any]:
    """A sample of the trace: the mean power since the one before."""
    return {
        "monotonic_s": piece.end_s,
        "phase": phase,
        "device": zone.label,
        "power_w": piece.energy_j / (piece.end_s - piece.start_s),
        "source": SOURCE,
        "temperature_c": None,
        "sm_clock_mhz": None,
        "throttle_reasons": None,
    }

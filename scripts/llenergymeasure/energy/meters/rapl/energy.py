"""Energy of a window from several readings of a RAPL counter."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from llenergymeasure.energy.ledger import LedgerEntry, Span
from llenergymeasure.energy.meters.rapl.counter_reader import Reading
from llenergymeasure.energy.meters.rapl.powercap import Zone
from llenergymeasure.energy.uncertainty import Component, rectangular

SOURCE = "measured:rapl"

# More than any package or its memory takes today, for a moment too (the largest have 500 W to dissipate). It says how
# soon a counter can wrap around, and which steps are none of the hardware's.
HIGHEST_W = 2000.0
# Updates come about every millisecond, late ones much later: Hähnel et al., "Measuring Energy Consumption for Short
# Code Paths Using RAPL", ACM SIGMETRICS Performance Evaluation Review 40(3), 2012.
LATE_S = 0.02

# Nobody states a bound for all processors. Package: follows the plug power closely, says Khan et al., "RAPL in Action",
# ACM ToMPECS 3(2), 2018; 5 % is this pipeline's assumption. DRAM: "up to ~30 % error" is what Intel says of its own
# reference platforms (Intel Power Gadget); mostly a constant offset, so worse when idle: Desrochers, Paradis, Weaver,
# "A Validation of DRAM RAPL Power Measurements", MEMSYS 2016.
GAIN_BOUNDS = {"cpu": 0.05, "dram": 0.30}
GAIN_SOURCES = {
    "cpu": "assumed; Khan et al. 2018, doi 10.1145/3177754, found it to follow the plug power",
    "dram": "Intel Power Gadget; Desrochers et al. 2016, doi 10.1145/2989081.2989088",
}
SCOPES = {"cpu": "the package", "dram": "its memory"}


class Implausible(Exception):
    """A counter moved as no counter does by itself."""


@dataclass(frozen=True)
class Piece:
    """Energy between two readings."""

    start_s: float
    end_s: float
    energy_j: float


def longest_gap_s(zone: Zone) -> float:
    """The longest time between two readings in which the counter wraps around once at most."""
    return zone.range_uj / 1e6 / HIGHEST_W - LATE_S


def split_window(zone: Zone, readings: Sequence[Reading]) -> list[Piece]:
    """The window in pieces, from reading to reading, without the readings that failed.

    Raises:
        Implausible: the first or the last reading failed, a gap hides a wrap, or the counter jumped.
    """
    for edge, at_edge in (("start", readings[0]), ("end", readings[-1])):
        value = at_edge.values[zone.label]
        if isinstance(value, str):
            raise Implausible(f"reading the counter failed at the {edge} of the window: {value}")
    return list(_pieces(zone, readings))


def _pieces(zone: Zone, readings: Sequence[Reading]) -> Iterator[Piece]:
    usable = [(taken.time_s, value) for taken in readings if isinstance(value := taken.values[zone.label], int)]
    for (start_s, earlier_uj), (end_s, later_uj) in pairwise(usable):
        gap_s = end_s - start_s
        if gap_s > longest_gap_s(zone):
            raise Implausible(
                f"{gap_s:.3g} s passed between two readings; at {HIGHEST_W:g} W the counter wraps around every "
                f"{longest_gap_s(zone):.3g} s, so that a wrap may be missing"
            )
        step_uj = later_uj - earlier_uj
        if step_uj < 0:
            step_uj += zone.range_uj
        if not 0 <= step_uj / 1e6 <= HIGHEST_W * (gap_s + LATE_S):
            how = "ran backwards" if later_uj < earlier_uj else "jumped"
            raise Implausible(
                f"the counter {how} in the window, from {earlier_uj} to {later_uj} µJ in {gap_s:.3g} s; no wrap-around "
                f"of {zone.range_uj} µJ explains it (suspended, or reset by firmware)"
            )
        yield Piece(start_s, end_s, step_uj / 1e6)


def rapl_entry(span: Span, zone: Zone, readings: Sequence[Reading], period_s: float) -> LedgerEntry:
    """The ledger entry of one zone.

    The readings are taken a moment off the window's edges, behind the other meters; that time is carried with the mean
    power (which there may lie anywhere from nothing to twice that). A reading shows the energy up to the counter's last
    update: at both edges alike, so the two lags cancel on average and each leaves T·P/√12.
    """
    try:
        pieces = split_window(zone, readings)
    except Implausible as implausible:
        return span.unknown(zone.device, zone.domain, SOURCE, str(implausible))
    counted_j = math.fsum(piece.energy_j for piece in pieces)
    seconds = pieces[-1].end_s - pieces[0].start_s
    if counted_j == 0 or seconds <= 0:
        reason = (
            f"the counter did not move in the window of {span.duration_s:.3g} s (it is updated every "
            f"{period_s * 1e3:.3g} ms); use a longer window"
        )
        return span.unknown(zone.device, zone.domain, SOURCE, reason)
    power_w = counted_j / seconds
    energy_j = power_w * span.duration_s
    offsets_s = (pieces[0].start_s - span.start_s, span.end_s - pieces[-1].end_s)
    off_s = math.hypot(*(rectangular(2 * offset_s) for offset_s in offsets_s))
    reading_s = math.hypot(rectangular(readings[0].took_s), rectangular(readings[-1].took_s))
    bound = GAIN_BOUNDS[zone.domain]
    components = [
        Component(
            f"counter update of {period_s * 1e3:.2g} ms at {power_w:.1f} W (both edges)",
            power_w * rectangular(period_s) * math.sqrt(2),
            "edge",
        ),
        Component(
            f"readings {abs(offsets_s[0]) * 1e3:.2g} ms and {abs(offsets_s[1]) * 1e3:.2g} ms off the edges",
            power_w * math.hypot(off_s, reading_s),
            "edge",
        ),
        Component(
            f"RAPL's own error for {SCOPES[zone.domain]}, ±{bound:.0%} rectangular ({GAIN_SOURCES[zone.domain]})",
            rectangular(2 * bound) * energy_j,
            "gain",
            "rectangular",
        ),
    ]
    remark = (
        f"{len(pieces) + 1} readings; {SCOPES[zone.domain]} alone, not the wall: power supply, fans and the rest of "
        "the machine are not included; every process on the machine is"
    )
    return span.known(zone.device, zone.domain, SOURCE, energy_j, components, remark=remark)

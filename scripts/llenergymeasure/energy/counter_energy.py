"""Energy of a window from two readings of a counter that moves in steps."""

from __future__ import annotations

import math
from dataclasses import dataclass

from llenergymeasure.energy.ledger import LedgerEntry, Span
from llenergymeasure.energy.ticks import Reading
from llenergymeasure.energy.uncertainty import Component, rectangular

# About ±5 % from board to board against an external meter, constant for one board: Yang, Adamek, Armour,
# "Accurate and Convenient Energy Measurements for GPUs", SC'24 (arXiv 2312.02741). A bound, hence
# rectangular.
GAIN_BOUND = 0.05

SOURCE = "measured:nvml-total-energy"


def gain(energy_j: float) -> Component:
    """The sensor's own gain error, which no length of window makes smaller."""
    return Component(
        f"sensor gain of the board, ±{GAIN_BOUND:.0%} rectangular (arXiv 2312.02741)",
        rectangular(2 * GAIN_BOUND) * energy_j,
        "gain",
        "rectangular",
    )


@dataclass(frozen=True)
class CounterWindow:
    """The counter of one device at the edges of a window; `period_s` is None where no ticks were seen."""

    uuid: str
    start: Reading
    end: Reading
    period_s: float | None


def counter_entry(span: Span, window: CounterWindow) -> LedgerEntry:
    """The ledger entry of one device.

    The counter shows the energy up to its last tick. With the start on a tick, the figure therefore lacks the
    time since the last tick before the end, which lies anywhere in [0, T): half a period is added (GUM 3.2.3:
    a known systematic effect is corrected) and T·P/√12 is left as uncertainty. With neither edge on a tick
    the two lags cancel on average and each leaves T·P/√12.
    """
    counted_j = (window.end.millijoules - window.start.millijoules) / 1e3
    period_s, duration_s = window.period_s, span.duration_s
    if counted_j < 0:
        reason = f"the counter ran backwards by {-counted_j:g} J in the window (driver reloaded or counter reset)"
        return span.unknown(window.uuid, "gpu", SOURCE, reason)
    if counted_j == 0:
        seen = "its ticks were never seen" if period_s is None else f"it ticks every {period_s * 1e3:.0f} ms"
        reason = f"the counter did not move in the window of {duration_s:.3g} s ({seen}); use a longer window"
        return span.unknown(window.uuid, "gpu", SOURCE, reason)
    if period_s is None:
        basis = "not stated: the counter's update period could not be observed when the meter was opened"
        return span.known(window.uuid, "gpu", SOURCE, counted_j, [], remark=basis)
    corrected = window.start.on_tick and duration_s > period_s
    energy_j = counted_j * duration_s / (duration_s - period_s / 2) if corrected else counted_j
    power_w = energy_j / duration_s
    edges = 1 if window.start.on_tick else 2
    where = "end edge; the start is on a tick" if edges == 1 else "both edges; no tick came to start on"
    timing_s = math.hypot(rectangular(window.start.resolution_s), rectangular(window.end.resolution_s))
    components = [
        Component(
            f"counter tick of {period_s * 1e3:.1f} ms at {power_w:.1f} W ({where})",
            power_w * rectangular(period_s) * math.sqrt(edges),
            "edge",
        ),
        Component(f"timing of the edges, {timing_s * 1e3:.2f} ms", power_w * timing_s, "edge"),
        gain(energy_j),
    ]
    added_j = energy_j - counted_j
    remark = f"{added_j:.3g} J added for the half period the counter lags at the end" if corrected else ""
    return span.known(window.uuid, "gpu", SOURCE, energy_j, components, remark=remark)

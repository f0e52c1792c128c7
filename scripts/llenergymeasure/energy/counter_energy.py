"""Energy of a window from a counter that moves in steps."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from llenergymeasure.energy.device_families import Family
from llenergymeasure.energy.ledger import Interval, LedgerEntry, Span
from llenergymeasure.energy.tick_grid import Grid, Tick, fit_grid, ticks_on
from llenergymeasure.energy.tick_scatter import scatter_of
from llenergymeasure.energy.ticks import Period, Reading
from llenergymeasure.energy.uncertainty import Component, rectangular

SOURCE = "measured:nvml-total-energy"

# A counter whose ticks come more irregularly than this share of their period has no grid to speak of.
IRREGULAR = 0.1
# Beyond this share the power from tick to tick scatters because the ticks do, and says little of the sensor's noise.
UNSTEADY = 0.03
# The power at an edge is that of so many steps next to it: fewer are noisy, more are of another time.
EDGE_STEPS = 2


def gain(energy_j: float, family: Family) -> Component:
    """The sensor's own gain error, which no length of window makes smaller."""
    return Component(
        f"sensor gain of the board, ±{family.gain_bound:.0%} rectangular ({family.name}: {family.source})",
        rectangular(2 * family.gain_bound) * energy_j,
        "gain",
        "rectangular",
    )


@dataclass(frozen=True)
class CounterWindow:
    """The counter of one device in and around a window.

    start: a tick at or before the window's start, or where none came a plain reading at the start
    end: a plain reading at the end
    following: the first tick after the end, None where none came
    seen: what the sampler read meanwhile, (time in seconds, millijoules)
    period: None where no ticks were seen when the meter was opened
    noise: what the scatter of the power readings leaves of uncertainty, None where there are none; for windows whose
        ticks do not tell
    """

    uuid: str
    family: Family
    start: Reading
    end: Reading
    following: Reading | None
    seen: Sequence[tuple[float, int]]
    period: Period | None
    noise: Component | None = None


def counter_entry(span: Span, window: CounterWindow) -> tuple[LedgerEntry, list[Interval]]:
    """The ledger entry of one device, and the pieces of the window between the ticks that were seen.

    E = (C_b - C_a) + (t_a - start)·P_a + (end - t_b)·P_b, with a and b the first and the last tick inside the window
    and P the mean power of the `EDGE_STEPS` steps next to each. Time a of the board whose tick opened the window is the
    start itself. Time b is one period before the first tick after the end, which is waited for; the step it makes is
    not used: it holds what came after the window, in a share that nobody knows where the sensor looks only at part of a
    period. Budget, in quadrature:

    - both edges: the time over which power is carried on, times the root mean square change of power from one step to
      the next, which is how far such a forecast is off;
    - timing of the ticks at the edges: power times their resolution;
    - what the sensor did not see, and noise: `scatter_of` the ticks, or where they come irregularly or are too few, the
      scatter of the power readings of the same sensor;
    - gain.
    """
    reason = _no_energy(span, window)
    if reason is not None:
        return span.unknown(window.uuid, "gpu", SOURCE, reason), []
    grid = _grid(window)
    ticks = [] if grid is None else _ticks(span, window, grid)
    if grid is None or len(ticks) < 2:
        return _from_edges(span, window), []
    return _from_ticks(span, window, grid, ticks)


def _no_energy(span: Span, window: CounterWindow) -> str | None:
    """Why the counter says nothing of this window."""
    course = [window.start.millijoules, *(value for _, value in window.seen), window.end.millijoules]
    fell_mj = max((earlier - later for earlier, later in pairwise(course)), default=0)
    if fell_mj > 0:
        return f"the counter ran backwards by {fell_mj / 1e3:g} J in the window (driver reloaded or counter reset)"
    if window.end.millijoules == window.start.millijoules:
        period = window.period
        seen = "its ticks were never seen" if period is None else f"it ticks every {period.period_s * 1e3:.0f} ms"
        return f"the counter did not move in the window of {span.duration_s:.3g} s ({seen}); use a longer window"
    return None


def _grid(window: CounterWindow) -> Grid | None:
    """The ticks in the window, where they come regularly and the window lies between two that were seen."""
    period, start, following = window.period, window.start, window.following
    if period is None or period.spread_s > IRREGULAR * period.period_s:
        return None
    if not start.on_tick or following is None or following.time_s - start.time_s < period.period_s / 2:
        return None
    readings = [(time_s, value / 1e3) for time_s, value in window.seen if start.time_s < time_s < following.time_s]
    return fit_grid(start.time_s, following.time_s, readings, period)


def _ticks(span: Span, window: CounterWindow, grid: Grid) -> list[Tick]:
    """The ticks inside the window whose value is known, in joules since the start reading."""
    assert window.following is not None
    last = Tick(window.following.time_s - grid.period_s, (window.end.millijoules - window.start.millijoules) / 1e3)
    first = Tick(window.start.time_s, 0.0)
    readings = [(time_s, (value - window.start.millijoules) / 1e3) for time_s, value in window.seen]
    between = [
        tick
        for tick in ticks_on(grid, readings)
        if first.time_s + grid.period_s / 2 < tick.time_s < last.time_s - grid.period_s / 2
    ]
    tolerance_s = window.start.resolution_s
    inside = [tick for tick in (first, *between, last) if span.start_s - tolerance_s <= tick.time_s <= span.end_s]
    return inside if len(inside) > 1 else [tick for tick in (first, last) if tick.time_s <= span.end_s]


def _from_ticks(
    span: Span, window: CounterWindow, grid: Grid, ticks: Sequence[Tick]
) -> tuple[LedgerEntry, list[Interval]]:
    first, last = ticks[0], ticks[-1]
    before_s, after_s = first.time_s - span.start_s, span.end_s - last.time_s
    opening_w, closing_w = _power_w(ticks[: EDGE_STEPS + 1]), _power_w(ticks[-EDGE_STEPS - 1 :])
    added_j = before_s * opening_w + after_s * closing_w
    energy_j = last.energy_j - first.energy_j + added_j
    if energy_j <= 0:
        return _from_edges(span, window), []
    mean_w = energy_j / span.duration_s
    scatter = scatter_of(ticks, grid.period_s, window.family.seen_share, span.duration_s)
    change_w = mean_w if scatter is None else scatter.change_w
    assert window.following is not None and window.period is not None
    timing_s = math.hypot(
        rectangular(window.start.resolution_s), rectangular(window.following.resolution_s), window.period.spread_s
    )
    many = span.duration_s / grid.period_s
    components = [
        Component(
            f"counter tick of {grid.period_s * 1e3:.1f} ms: power carried over {before_s * 1e3:.0f} ms at the start "
            f"and {after_s * 1e3:.0f} ms at the end of the window, to {change_w:.3g} W",
            change_w * math.hypot(before_s, after_s),
            "edge",
        ),
        Component(f"timing of the ticks at the edges, {timing_s * 1e3:.2f} ms", mean_w * timing_s, "edge"),
    ]
    steady = window.period.spread_s <= UNSTEADY * window.period.period_s
    of_ticks = None
    if scatter is not None:
        of_ticks = Component(
            f"scatter of {many:.0f} ticks: noise, and what a sensor misses that sees "
            f"{window.family.seen_share:.0%} of the time ({window.family.name})",
            scatter.window_j,
            "rate",
        )
    noise = of_ticks if of_ticks is not None and steady else window.noise or of_ticks
    components += [*_known(noise), gain(energy_j, window.family)]
    remark = _remark(f"{added_j:.3g} J added for the time between the edges and the next tick inside", noise)
    pieces = [
        Interval(window.uuid, earlier.time_s, later.time_s, later.energy_j - earlier.energy_j)
        for earlier, later in pairwise(ticks)
    ]
    pieces[0] = replace(pieces[0], start_s=span.start_s, energy_j=pieces[0].energy_j + before_s * opening_w)
    pieces[-1] = replace(pieces[-1], end_s=span.end_s, energy_j=pieces[-1].energy_j + after_s * closing_w)
    return span.known(window.uuid, "gpu", SOURCE, energy_j, components, remark=remark), pieces


def _known(noise: Component | None) -> list[Component]:
    return [] if noise is None else [noise]


def _remark(added: str, noise: Component | None) -> str:
    unknown = "noise is not in it: too little was read between the edges" if noise is None else ""
    return "; ".join(part for part in (added, unknown) if part)


def _power_w(ticks: Sequence[Tick]) -> float:
    return (ticks[-1].energy_j - ticks[0].energy_j) / (ticks[-1].time_s - ticks[0].time_s)


def _from_edges(span: Span, window: CounterWindow) -> LedgerEntry:
    """The entry from the two edge readings alone, where no regular ticks were seen around the window.

    The counter shows the energy up to its last tick. With the start on a tick, the figure lacks the time since the
    last tick before the end, which lies anywhere in [0, T): half a period is added (GUM 3.2.3: a known systematic
    effect is corrected) and T·P/√12 is left as uncertainty. With neither edge on a tick the two lags cancel on average
    and each leaves T·P/√12.
    """
    counted_j, duration_s = (window.end.millijoules - window.start.millijoules) / 1e3, span.duration_s
    if window.period is None:
        basis = "not stated: the counter's update period could not be observed when the meter was opened"
        return span.known(window.uuid, "gpu", SOURCE, counted_j, [], remark=basis)
    period_s = window.period.period_s
    on_tick = window.start.on_tick and abs(window.start.time_s - span.start_s) <= window.start.resolution_s
    corrected = on_tick and duration_s > period_s
    energy_j = counted_j * duration_s / (duration_s - period_s / 2) if corrected else counted_j
    power_w = energy_j / duration_s
    edges = 1 if on_tick else 2
    where = "end edge; the start is on a tick" if edges == 1 else "both edges; no tick came to start on"
    timing_s = math.hypot(rectangular(window.start.resolution_s), rectangular(window.end.resolution_s))
    components = [
        Component(
            f"counter tick of {period_s * 1e3:.1f} ms at {power_w:.1f} W ({where})",
            power_w * rectangular(period_s) * math.sqrt(edges),
            "edge",
        ),
        Component(f"timing of the edges, {timing_s * 1e3:.2f} ms", power_w * timing_s, "edge"),
        *_known(window.noise),
        gain(energy_j, window.family),
    ]
    added_j = energy_j - counted_j
    added = f"{added_j:.3g} J added for the half period the counter lags at the end" if corrected else ""
    remark = _remark(added, window.noise)
    return span.known(window.uuid, "gpu", SOURCE, energy_j, components, remark=remark)

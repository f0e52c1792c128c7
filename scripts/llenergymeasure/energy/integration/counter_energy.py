"""Energy of a window from a counter that moves in steps."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from llenergymeasure.energy.integration.counter_curve import Curve, curve_through
from llenergymeasure.energy.integration.sensors import Family
from llenergymeasure.energy.integration.step_aliasing import ALIASING, Aliasing, Cycles, Sight, estimate_aliasing
from llenergymeasure.energy.integration.tick_grid import PERIOD_DEVIATIONS, TICK_TOLERANCE_S, Tick, fit_grid, ticks_on
from llenergymeasure.energy.integration.tick_scatter import Scatter, estimate_scatter
from llenergymeasure.energy.integration.ticks import (
    CounterReading,
    Period,
    SeenTick,
    estimate_period,
    fine_ticks,
    mean_tick,
    seen_ticks,
)
from llenergymeasure.energy.ledger import Account, Interval, LedgerEntry, Span
from llenergymeasure.energy.sampling.loop import EDGE_S
from llenergymeasure.energy.uncertainty import Component, rectangular

# A counter whose ticks come more irregularly than this share of their period has no grid to speak of.
IRREGULAR = 0.1
# Beyond this share the power from tick to tick scatters because the ticks do, and says little of the sensor's noise.
UNSTEADY = 0.03
# Fewer ticks do not determine a period.
FEWEST_TICKS = 4
# At how many lags between none and the bound the energy is worked out.
LAGS = 21
# A reading so long after the start or before the end is still one of that edge.
LATE_S = 0.02


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

    account: what its energy is booked under
    readings: in order, polled fast around both edges and at the sampling interval between them
    period: how it ticked when the meter was opened, None where too few ticks were seen; the window's own come first
    noise: what the scatter of the power readings leaves of uncertainty, None where there are none; for windows whose
        ticks do not show it
    loops: what repeated in the window, by kind; empty where that is not known
    """

    account: Account
    family: Family
    readings: Sequence[CounterReading]
    period: Period | None
    noise: Component | None = None
    loops: Sequence[Cycles] = ()


@dataclass(frozen=True)
class Ticking:
    """How the counter moved in and around a window.

    fine: ticks whose time is known well
    curve: None where there are too few of them
    """

    period: Period
    fine: Sequence[SeenTick]
    curve: Curve | None


def counter_entry(span: Span, window: CounterWindow) -> tuple[LedgerEntry, list[Interval]]:
    """The ledger entry of one device, and the pieces of the window between the ticks that were seen.

    Between ticks the counter is taken for a straight line C(t). It shows what was drawn with a lag λ, somewhere from 0
    to the bound Λ of the board's family:

        E = mean over λ of E(λ),   E(λ) = C(end + λ) - C(start + λ)

    With the same work running across both edges E(λ) hardly depends on λ; where power steps at an edge it changes by λ
    times the step. Budget, in quadrature:

    - lag: a lag of nothing and one of the whole bound are the likeliest, so the largest deviation of E(λ) from the mean
      is taken for the half width of an arcsine distribution (GUM supplement 1, 6.4.6): over √2;
    - both edges: within a step a straight line is off by its length times the root mean square change of power from
      one step to the next, over √12 at each edge; beyond the ticks that were seen, by all of that;
    - timing of the ticks at the edges: power times its deviation;
    - what the sensor did not see, and noise: `estimate_scatter` of the ticks; where they come irregularly or are too
      few, the scatter of the power readings of the same sensor;
    - gain;
    - where the window's loops are known and the sensor looks at a part of each period only: what it showed too much of
      them is taken off (`estimate_aliasing`), with the uncertainty of that; the scatter is that of what is left.
    """
    reason = _no_energy(span, window)
    if reason is not None:
        return span.unknown(*window.account, reason), []
    ticking = _ticking(window)
    # Where nothing was polled around an edge (the sampler died, for example), the power next to it is unknown.
    if (
        ticking is None
        or ticking.curve is None
        or ticking.curve.beyond_s(span.start_s, span.end_s) > 2 * ticking.period.period_s
    ):
        return _from_edges(span, window, None if ticking is None else ticking.period), []
    return _from_ticks(span, window, ticking, ticking.curve)


def _no_energy(span: Span, window: CounterWindow) -> str | None:
    """Why the counter gives no energy for this window; None where it gives one."""
    good = [reading for reading in window.readings if reading.millijoules is not None]
    before = any(reading.time_s <= span.start_s + LATE_S for reading in good)
    after = any(reading.time_s >= span.end_s - LATE_S for reading in good)
    for edge, time_s, known in (("start", span.start_s, before), ("end", span.end_s, after)):
        if not known:
            failed = [reading for reading in window.readings if reading.error is not None]
            nearest = min(failed, key=lambda reading: abs(reading.time_s - time_s), default=None)
            why = "nothing was read" if nearest is None else nearest.error
            return f"reading the counter failed at the {edge} of the window: {why}"
    fell_mj = max((_fell_mj(earlier, later) for earlier, later in pairwise(good)), default=0)
    if fell_mj > 0:
        return f"the counter ran backwards by {fell_mj / 1e3:g} J in the window (driver reloaded or counter reset)"
    start, end = _edge_readings(span, window)
    if end.millijoules == start.millijoules:
        period = window.period
        ticks = "its ticks were never seen" if period is None else f"it ticks every {period.period_s * 1e3:.0f} ms"
        return f"the counter did not move in the window of {span.duration_s:.3g} s ({ticks}); use a longer window"
    return None


def _fell_mj(earlier: CounterReading, later: CounterReading) -> int:
    """By how much the counter fell from one reading to the next.

    Two processes read it, and where their calls overlap, the one whose middle is the later may have the older value.
    """
    assert earlier.millijoules is not None and later.millijoules is not None
    apart = later.time_s - earlier.time_s > (earlier.took_s + later.took_s) / 2
    return earlier.millijoules - later.millijoules if apart else 0


def _edge_readings(span: Span, window: CounterWindow) -> tuple[CounterReading, CounterReading]:
    """The readings nearest to the two edges."""
    good = [reading for reading in window.readings if reading.millijoules is not None]
    start = min(good, key=lambda reading: abs(reading.time_s - span.start_s))
    end = min(good, key=lambda reading: abs(reading.time_s - span.end_s))
    return start, end


def _ticking(window: CounterWindow) -> Ticking | None:
    """How the counter moved: its own period in this window, unless that agrees with the one known better before."""
    ticks = seen_ticks(window.readings)
    known = window.period
    finest = fine_ticks(ticks, None)
    own = estimate_period(finest) if len(finest) >= FEWEST_TICKS else None
    period = own or known
    if own is not None and known is not None and known.error_s < own.error_s:
        agree_s = PERIOD_DEVIATIONS * math.hypot(own.error_s, known.error_s)
        period = known if abs(own.period_s - known.period_s) <= agree_s else own
    if period is None:
        return None
    fine = fine_ticks(ticks, period.period_s)
    return Ticking(period, fine, curve_through(ticks, frozenset(fine), period.period_s))


def _from_ticks(
    span: Span, window: CounterWindow, ticking: Ticking, curve: Curve
) -> tuple[LedgerEntry, list[Interval]]:
    bound_s = window.family.lag_bound_s
    lags_s = [bound_s * step / (LAGS - 1) for step in range(LAGS)]
    energies_j = [curve.rise_j(span.start_s + lag_s, span.end_s + lag_s) for lag_s in lags_s]
    energy_j = math.fsum(energies_j) / LAGS
    if energy_j <= 0:
        return _from_edges(span, window, ticking.period), []
    ticks = _grid_ticks(span, window, ticking)
    period = ticking.period
    mean_w = energy_j / span.duration_s
    aliasing = _aliasing(span, window, period, ticks, mean_w)
    scatter = _scatter(span, window, period, ticks, aliasing)
    change_w = mean_w if scatter is None else scatter.change_w
    off_j = max(abs(each_j - energy_j) for each_j in energies_j)
    unseen_s = (1 - window.family.seen_share) * period.period_s
    within_s = period.period_s * math.sqrt(2 / 12)
    beyond_s = curve.beyond_s(span.start_s, span.end_s + bound_s)
    timing_s = math.sqrt(2) * max(tick.deviation_s for tick in ticking.fine)
    components = [
        Component(
            f"lag of the counter, 0 to {bound_s * 1e3:.0f} ms ({window.family.name}: assumed), times the difference of "
            f"power around the two edges: ±{off_j:.3g} J",
            off_j / math.sqrt(2),
            "edge",
        ),
        Component(
            f"where in its period the sensor looks, {unseen_s * 1e3:.0f} ms of it unseen, times that difference",
            rectangular(unseen_s) * 2 * off_j / bound_s,
            "edge",
        ),
        Component(
            f"counter tick of {period.period_s * 1e3:.1f} ms: power within a step at the edges, to {change_w:.3g} W",
            change_w * math.hypot(within_s, beyond_s),
            "edge",
        ),
        Component(f"timing of the ticks at the edges, {timing_s * 1e3:.2f} ms", mean_w * timing_s, "edge"),
    ]
    noise = _noise(span, window, period, scatter)
    components += _known(noise)
    how = "interpolated between the ticks around both edges"
    if aliasing is not None:
        components.append(_of_steps(aliasing, period, window.family))
        how += f"; {aliasing.excess_j:.3g} J taken off that it showed too much of power that repeats"
        energy_j -= aliasing.excess_j
    components.append(gain(energy_j, window.family))
    remark = _remark(how, noise)
    entry = span.known(*window.account, energy_j, components, remark=remark)
    return entry, _pieces(span, window.account.device, ticks, energy_j)


def _aliasing(
    span: Span, window: CounterWindow, period: Period, ticks: Sequence[Tick], mean_w: float
) -> Aliasing | None:
    """None where the sensor sees everything, nothing is known to repeat, or the ticks come irregularly."""
    family = window.family
    if not window.loops or family.seen_share >= 1 or period.spread_s > UNSTEADY * period.period_s:
        return None
    sight = Sight(period.period_s, family.seen_share, family.lag_bound_s, span.start_s, span.end_s)
    return estimate_aliasing(ticks, sight, window.loops, mean_w)


def _scatter(
    span: Span, window: CounterWindow, period: Period, ticks: Sequence[Tick], aliasing: Aliasing | None
) -> Scatter | None:
    """Of the ticks, without what repeats where that is known."""
    left = ticks if aliasing is None else aliasing.ticks
    scatter = estimate_scatter(left, period.period_s, window.family.seen_share, span.duration_s)
    if scatter is None or aliasing is None:
        return scatter
    return Scatter(aliasing.widening * scatter.change_w, aliasing.widening * scatter.window_j)


def _of_steps(aliasing: Aliasing, period: Period, family: Family) -> Component:
    return Component(
        f"{ALIASING} a sensor that sees {family.seen_share:.0%} of {period.period_s * 1e3:.0f} ms ({family.name})",
        aliasing.standard_j,
        "rate",
    )


def _grid_ticks(span: Span, window: CounterWindow, ticking: Ticking) -> list[Tick]:
    """The ticks inside the window whose value is known; none where they come irregularly."""
    period, fine = ticking.period, ticking.fine
    opening = [tick for tick in fine if abs(tick.time_s - span.start_s) < EDGE_S]
    closing = [tick for tick in fine if span.end_s <= tick.time_s < span.end_s + EDGE_S]
    if period.spread_s > IRREGULAR * period.period_s or not opening or not closing:
        return []
    first_s, first_deviation_s = mean_tick(opening, period.period_s)
    last_s, last_deviation_s = mean_tick(closing, period.period_s)
    if last_s - first_s < period.period_s / 2:
        return []
    inside = [
        (reading, reading.millijoules / 1e3)
        for reading in window.readings
        if reading.millijoules is not None and span.start_s <= reading.time_s <= span.end_s
    ]
    took_s = statistics.quantiles([0.0, *(reading.took_s for reading, _ in inside)], n=20)[-1]
    tolerance_s = max(TICK_TOLERANCE_S, took_s / 2 + 2 * max(first_deviation_s, last_deviation_s))
    readings = [(reading.time_s, joules) for reading, joules in inside if reading.took_s <= took_s]
    grid = fit_grid(first_s, last_s, readings, period, tolerance_s)
    return [tick for tick in ticks_on(grid, readings) if span.start_s <= tick.time_s <= span.end_s]


def _noise(span: Span, window: CounterWindow, period: Period, scatter: Scatter | None) -> Component | None:
    """What the sensor missed and its noise: from the ticks where they are steady, else from the power readings."""
    if scatter is None:
        return window.noise
    of_ticks = Component(
        f"scatter of {span.duration_s / period.period_s:.0f} ticks: noise, and what a sensor misses that sees "
        f"{window.family.seen_share:.0%} of the time ({window.family.name})",
        scatter.window_j,
        "rate",
    )
    steady = period.spread_s <= UNSTEADY * period.period_s
    return of_ticks if steady or window.noise is None else window.noise


def _pieces(span: Span, uuid: str, ticks: Sequence[Tick], energy_j: float) -> list[Interval]:
    """The window between its ticks; what lies outside of the first and the last is shared by time."""
    if len(ticks) < 2:
        return []
    pieces = [
        Interval(uuid, earlier.time_s, later.time_s, later.energy_j - earlier.energy_j)
        for earlier, later in pairwise(ticks)
    ]
    before_s, after_s = ticks[0].time_s - span.start_s, span.end_s - ticks[-1].time_s
    outside_j = energy_j - (ticks[-1].energy_j - ticks[0].energy_j)
    before_j = outside_j * before_s / (before_s + after_s) if before_s + after_s > 0 else 0.0
    pieces[0] = replace(pieces[0], start_s=span.start_s, energy_j=pieces[0].energy_j + before_j)
    pieces[-1] = replace(pieces[-1], end_s=span.end_s, energy_j=pieces[-1].energy_j + outside_j - before_j)
    return pieces


def _known(noise: Component | None) -> list[Component]:
    return [] if noise is None else [noise]


def _remark(how: str, noise: Component | None) -> str:
    unknown = "noise is not included: too little was read between the edges" if noise is None else ""
    return "; ".join(part for part in (how, unknown) if part)


def _from_edges(span: Span, window: CounterWindow, period: Period | None) -> LedgerEntry:
    """The entry from two readings near the edges alone, where no ticks were seen around the window.

    The counter shows the energy up to its last tick, anywhere in [0, T) before either reading. The two cancel on
    average, and each leaves T·P/√12.
    """
    start, end = _edge_readings(span, window)
    assert start.millijoules is not None and end.millijoules is not None
    counted_j = (end.millijoules - start.millijoules) / 1e3
    energy_j = counted_j * span.duration_s / (end.time_s - start.time_s)
    if period is None:
        basis = "not stated: the counter's update period could not be observed"
        return span.known(*window.account, energy_j, [], remark=basis)
    power_w = energy_j / span.duration_s
    off_s = abs(start.time_s - span.start_s) + abs(end.time_s - span.end_s)
    components = [
        Component(
            f"counter tick of {period.period_s * 1e3:.1f} ms at {power_w:.1f} W (both edges; no ticks seen there)",
            power_w * rectangular(period.period_s) * math.sqrt(2),
            "edge",
        ),
        Component(f"time from the edges to the readings, {off_s * 1e3:.2f} ms", power_w * off_s, "edge"),
        *_known(window.noise),
        gain(energy_j, window.family),
    ]
    return span.known(*window.account, energy_j, components, remark=_remark("", window.noise))

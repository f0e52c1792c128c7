"""Energy of a window from samples of a power reading that lags and may be averaged."""

from __future__ import annotations

import math
import statistics
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from llenergymeasure.energy.integration.counter_energy import gain
from llenergymeasure.energy.integration.sensors import Family
from llenergymeasure.energy.ledger import Account, Interval, LedgerEntry, Span
from llenergymeasure.energy.uncertainty import Component, rectangular

# Between samples the power is taken as a straight line; over a gap like this that would be invention.
LONGEST_GAP_S = 1.0
# A reading shows the last update, up to an update period old: 100 ms on recent boards.
UPDATE_LAG_S = 0.05
# How long after its averaging time a reading is followed, so that it has come down to the power after the window.
SETTLING_S = 0.25

Point = tuple[float, float]  # seconds, watts


@dataclass(frozen=True)
class PowerWindow:
    """The power readings of one device in and around a window.

    account: what its energy is booked under
    points: the readings from before the start until after the end, in order; those outside show the power there
    failure: why a reading failed, None where none did
    averaging_s: the time over which a reading is averaged
    """

    account: Account
    family: Family
    name: str
    averaging_s: float
    points: Sequence[Point]
    failure: str | None


@dataclass(frozen=True)
class Integral:
    """Energy in joules with its contributions but for the gain, and the pieces between the samples."""

    energy_j: float
    components: tuple[Component, ...]
    pieces: tuple[Interval, ...]


def follow_s(averaging_s: float) -> float:
    """How long after a window its readings have to be followed."""
    return averaging_s + SETTLING_S


def power_entry(span: Span, window: PowerWindow) -> tuple[LedgerEntry, list[Interval]]:
    """The ledger entry of one device that has no counter."""
    integral = integrate(span, window)
    if isinstance(integral, str):
        return span.unknown(*window.account, integral), []
    inside = len(_inside(span, window.points))
    averaged = f", averaged over {window.averaging_s:g} s" if window.averaging_s else ""
    remark = f"{inside} samples of {window.name}{averaged}, integrated"
    components = [*integral.components, gain(integral.energy_j, window.family)]
    entry = span.known(*window.account, integral.energy_j, components, remark=remark)
    return entry, list(integral.pieces)


def noise_component(span: Span, window: PowerWindow) -> Component | None:
    """The uncertainty of the window's energy that the readings' scatter causes; None where they do not show it."""
    integral = integrate(span, window)
    if not isinstance(integral, Integral):
        return None
    return next((component for component in integral.components if component.kind == "rate"), None)


def integrate(span: Span, window: PowerWindow) -> Integral | str:
    """Energy of the window, or why it is not known.

    A reading R(t) is the mean power of the `averaging_s` = τ seconds before t - λ, with λ the lag of its updates. Where
    the same work ran around both edges

        E = ∫R dt from start + a to end + a,   a = λ + τ/2

    because what the averaging moves out of the window at one edge it moves in at the other. Elsewhere the integral of R
    from the start to H seconds after the end holds the window's energy whole, and of the time around it a part with
    weights that add up to a seconds before the start and H - a after the end:

        E = ∫R dt - a·P_before - (H - a)·P_after

    exact for any course of power inside, where the power outside is steady for τ: P_before is R at the start, P_after R
    at H. Where nothing was sampled after the end (H = 0) P_after is R at the end, which takes the last τ seconds for
    steady. Budget, in quadrature:

    - the power around an edge need not be steady. One change between the lowest and the highest power seen shifts
      the edge by at most τ/8 of their difference; where τ is 0, by half a spacing of the readings. Rectangular, two
      edges;
    - a lag of the readings, anywhere from 0 to twice λ, times the difference of the power before and after;
    - scatter of the readings, T apart and each the mean of n = max(1, τ/T): half their mean squared successive
      difference δ² stands for a variance of n²δ² of one update (the mean of n changes by two of them), and
      √(duration/T)·T·n·δ is left of the window. It holds noise and what the sensor did not see.

    A reading that failed is a gap, over which the power is a straight line as between any two readings.
    """
    inside = _inside(span, window.points)
    if len(inside) < 2:
        why = "" if window.failure is None else f"; a power reading failed: {window.failure}"
        return f"only {len(inside)} power samples in the window of {span.duration_s:.3g} s{why}"
    lag_s = UPDATE_LAG_S + window.averaging_s / 2
    shift_s = lag_s if span.same_work else 0.0
    points = _between(window.points, span.start_s + shift_s, max(span.end_s + shift_s, window.points[-1][0]))
    gap_s = max(later[0] - earlier[0] for earlier, later in pairwise(points))
    if gap_s > LONGEST_GAP_S:
        why = "" if window.failure is None else f": a power reading failed: {window.failure}"
        return f"the power samples have a gap of {gap_s:.1f} s{why}"
    before_w, after_w, after_s = points[0][1], points[-1][1], points[-1][0] - span.end_s
    if span.same_work:
        points = _between(points, span.start_s + lag_s, span.end_s + lag_s)
        energy_j = math.fsum(_areas(points))
    else:
        energy_j = math.fsum(_areas(points)) - lag_s * before_w - (after_s - lag_s) * after_w
    powers = [power_w for _, power_w in points]
    components = _components(span, window, inside, powers)
    pieces = () if window.averaging_s else _pieces(span, window.account.device, points, energy_j)
    return Integral(energy_j, components, pieces)


def _inside(span: Span, points: Sequence[Point]) -> list[Point]:
    return [point for point in points if span.start_s <= point[0] <= span.end_s]


def _between(points: Sequence[Point], start_s: float, end_s: float) -> list[Point]:
    """The straight lines between these times; beyond the first and the last point the power is theirs."""
    return [
        (start_s, _power_at(points, start_s)),
        *(point for point in points if start_s < point[0] < end_s),
        (end_s, _power_at(points, end_s)),
    ]


def _power_at(points: Sequence[Point], time_s: float) -> float:
    right = bisect_left(points, (time_s, -math.inf))
    if right == 0 or right == len(points):
        return points[min(right, len(points) - 1)][1]
    (earlier_s, earlier_w), (later_s, later_w) = points[right - 1], points[right]
    return earlier_w + (later_w - earlier_w) * (time_s - earlier_s) / (later_s - earlier_s)


def _components(
    span: Span, window: PowerWindow, inside: Sequence[Point], powers: Sequence[float]
) -> tuple[Component, ...]:
    """powers: watts from the start on, the last one after the end."""
    span_w = max(powers) - min(powers)
    step_w = abs(powers[-1] - powers[0])
    spacing_s = statistics.median(later[0] - earlier[0] for earlier, later in pairwise(inside))
    edge_s = window.averaging_s / 8 if window.averaging_s else spacing_s / 2
    scatter_j = _scatter_j(span, window.averaging_s, inside)
    return (
        Component(
            f"power around the edges, up to {edge_s * 1e3:.0f} ms of a change by {span_w:.3g} W at each",
            rectangular(2 * edge_s) * span_w * math.sqrt(2),
            "edge",
        ),
        Component(
            f"lag of the readings, 0 to {2 * UPDATE_LAG_S * 1e3:.0f} ms, times {step_w:.3g} W from before to after",
            rectangular(2 * UPDATE_LAG_S) * step_w,
            "edge",
        ),
        Component(
            "scatter of the readings: noise, and what a sensor that sees "
            f"{window.family.seen_share:.0%} of the time misses ({window.family.name})",
            scatter_j,
            "rate",
        ),
    )


def _scatter_j(span: Span, averaging_s: float, inside: Sequence[Point]) -> float:
    """Standard deviation of the window's energy from the scatter of its readings; see `integrate`."""
    # A reading that repeats the one before is the same update seen twice.
    fresh = [inside[0][1]]
    fresh += [later for (_, earlier), (_, later) in pairwise(inside) if later != earlier]
    update_s = span.duration_s / len(fresh)
    squares = [(later - earlier) ** 2 / 2 for earlier, later in pairwise(fresh)]
    if not squares:
        return 0.0
    updates = max(1.0, averaging_s / update_s)
    return math.sqrt(span.duration_s * update_s * math.fsum(squares) / len(squares)) * updates


def _areas(points: Sequence[Point]) -> list[float]:
    return [(later[0] - earlier[0]) * (later[1] + earlier[1]) / 2 for earlier, later in pairwise(points)]


def _pieces(span: Span, uuid: str, points: Sequence[Point], energy_j: float) -> tuple[Interval, ...]:
    """The window between the samples, moved back by the lag; scaled by a little, so that they add up to the whole.

    Only for instantaneous readings: an average over a second does not resolve the pieces.
    """
    moved = [(min(max(time_s - UPDATE_LAG_S, span.start_s), span.end_s), power_w) for time_s, power_w in points]
    if moved[-1][0] < span.end_s:
        moved.append((span.end_s, moved[-1][1]))
    areas = _areas(moved)
    total_j = math.fsum(areas)
    if total_j <= 0:
        return ()
    return tuple(
        Interval(uuid, earlier[0], later[0], area_j * energy_j / total_j)
        for (earlier, later), area_j in zip(pairwise(moved), areas, strict=True)
        if later[0] > earlier[0]
    )

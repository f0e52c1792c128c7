"""Which share of what a part-time sensor saw was prefill: when it looked, and how it lags, are fitted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from llenergymeasure.energy import Interval
from llenergymeasure.energy.integration.sensors import PartTime
from llenergymeasure.engine.generation.generation import Generation

Floats = NDArray[np.float64]
# What is tried first: the seen part of a period beside the family's own, time constants of a first-order lag in
# seconds, and the distance of the offsets.
SHARES, LAGS_S, OFFSET_S = (0.5, 1.0), (0.0, 0.01, 0.02, 0.035, 0.05, 0.075, 0.1, 0.14), 0.01
# The best of these is refined by steps that are halved so often, each taken as long as it helps.
HALVINGS, STEPS = 10, 60
# A fit this much worse than the best, in units of its own variance, is as good: 8 is the 99 % point of χ² with 2 to 3
# degrees of freedom, rounded down.
AS_GOOD = 8.0
# A change of the offset, and of the lag relative to itself, for the slopes.
SLOPE_S, SLOPE = 0.001, 0.05


@dataclass(frozen=True)
class Look:
    """How a sensor may look at power: `seen_s` of each period from `offset_s` on, after a first-order lag."""

    seen_s: float
    lag_s: float
    offset_s: float


@dataclass(frozen=True)
class SeenPrefill:
    """The best fit to the pieces of a trace.

    power_w: of the whole pieces; share: of prefill in what was seen of each
    slopes_w: how the fitted power changes with what else was fitted, one column each
    spread_w: between the prefill powers of all fits that are as good
    """

    power_w: Floats
    share: Floats
    slopes_w: Floats
    spread_w: float


@dataclass(frozen=True)
class _Moments:
    """Times among the corners of a timeline, in an array of any shape.

    prefill_s: seconds of prefill before each; place: of the last corner before; since_s: that corner
    """

    prefill_s: Floats
    place: NDArray[np.intp]
    since_s: Floats


class _Prefills:
    """Seconds of prefill before a time, as a first-order lag shows them: the integral of the lagged step function."""

    def __init__(self, timeline: Sequence[Generation]) -> None:
        self._corners_s = np.array([at_s for call in timeline for at_s in (call.start_s, call.first_token_s)])
        self._before_s = np.cumsum([part for call in timeline for part in (0.0, call.first_token_s - call.start_s)])
        self._level = np.tile([1.0, 0.0], len(timeline))
        self._shown: dict[float, Floats] = {}

    def moments(self, times_s: Floats) -> _Moments:
        # Before the first corner is as at it: nothing of prefill was shown yet.
        place = np.maximum(0, np.searchsorted(self._corners_s, times_s, side="right") - 1)
        since_s = np.maximum(0.0, times_s - self._corners_s[place])
        return _Moments(self._before_s[place] + self._level[place] * since_s, place, since_s)

    def before(self, at: _Moments, lag_s: float) -> Floats:
        """x' = (p - x)/τ, so that ∫x = ∫p - τ·x."""
        if not lag_s:
            return at.prefill_s
        level = self._level[at.place]
        shown = level + (self._lagged(lag_s)[at.place] - level) * np.exp(-at.since_s / lag_s)
        return np.asarray(at.prefill_s - lag_s * shown)

    def _lagged(self, lag_s: float) -> Floats:
        """x at the corners."""
        shown = self._shown.get(lag_s)
        if shown is None:
            kept = np.exp(-np.diff(self._corners_s) / lag_s).tolist()
            values = [0.0]
            for level, share in zip(self._level.tolist(), kept, strict=False):
                values.append(level + (values[-1] - level) * share)
            shown = self._shown[lag_s] = np.array(values)
        return shown


@dataclass(frozen=True)
class _Lines:
    """One straight line per offset: sum of the squared residuals, power of prefill, and that above decode."""

    left: Floats
    prefill_w: Floats
    above_w: Floats


class _Fits:
    """Straight lines through the power of the pieces over the share of prefill that a look gives them."""

    def __init__(self, pieces: Sequence[Interval], timeline: Sequence[Generation], sensor: PartTime) -> None:
        starts_s = np.array([piece.start_s for piece in pieces])
        lengths_s = np.array([piece.end_s - piece.start_s for piece in pieces])
        self.power_w = np.array([piece.energy_j for piece in pieces]) / lengths_s
        self._mean_w = float(self.power_w.mean())
        self._counts = np.maximum(1, np.rint(lengths_s / sensor.period_s)).astype(int)
        owner = np.repeat(np.arange(len(pieces)), self._counts)
        self._firsts = np.cumsum(self._counts) - self._counts
        within = np.arange(len(owner)) - self._firsts[owner]
        self._begin_s = starts_s[owner] + within * (lengths_s / self._counts)[owner]
        self._prefills = _Prefills(timeline)

    def shares(self, seen_s: float, offsets_s: Floats, lags_s: Sequence[float]) -> list[Floats]:
        """For each lag: offsets x pieces."""
        from_s = self._begin_s + offsets_s[:, None]
        begins, ends = self._prefills.moments(from_s), self._prefills.moments(from_s + seen_s)
        shares = []
        for lag_s in lags_s:
            seen = (self._prefills.before(ends, lag_s) - self._prefills.before(begins, lag_s)) / seen_s
            shares.append(np.add.reduceat(seen, self._firsts, axis=1) / self._counts)
        return shares

    def lines(self, share: Floats) -> _Lines:
        power_w = self.power_w - self._mean_w
        mean = share.mean(axis=1, keepdims=True)
        apart = share - mean
        square, product = np.einsum("ij,ij->i", apart, apart), apart @ power_w
        above_w = np.divide(product, square, out=np.zeros_like(square), where=square >= 1e-9)
        return _Lines(power_w @ power_w - above_w * product, self._mean_w + above_w * (1 - mean[:, 0]), above_w)


def fit_seen_prefill(pieces: Sequence[Interval], timeline: Sequence[Generation], sensor: PartTime) -> SeenPrefill:
    """The look with the smallest sum of squared residuals: the unknown offset and lag are profiled out.

    pieces: of one device, each some whole periods of its sensor
    """
    fits = _Fits(pieces, timeline, sensor)
    looks: list[Look] = []
    lines: list[_Lines] = []
    for seen_s, offsets_s in _seen_parts(sensor):
        for lag_s, share in zip(LAGS_S, fits.shares(seen_s, offsets_s, LAGS_S), strict=True):
            looks += [Look(seen_s, lag_s, offset_s) for offset_s in offsets_s.tolist()]
            lines.append(fits.lines(share))
    left = np.concatenate([line.left for line in lines])
    prefill_w = np.concatenate([line.prefill_w for line in lines])
    best = _refined(fits, looks[int(np.argmin(left))])
    (share,) = fits.shares(best.seen_s, np.array([best.offset_s]), [best.lag_s])
    line = fits.lines(share)
    as_good_w = prefill_w[left <= line.left[0] * (1 + AS_GOOD / len(pieces))]
    return SeenPrefill(
        fits.power_w,
        share[0],
        line.above_w[0] * _slopes(fits, best),
        float(np.ptp(as_good_w)) if as_good_w.size else 0.0,
    )


def _seen_parts(sensor: PartTime) -> list[tuple[float, Floats]]:
    """An update is published 0 to `lag_bound_s` after its period, and the seen part lies anywhere in that."""
    seen_s = [share * sensor.period_s for share in sorted({sensor.seen_share, *SHARES})]
    return [
        (part_s, np.arange(-sensor.lag_bound_s, sensor.period_s - part_s + OFFSET_S / 2, OFFSET_S)) for part_s in seen_s
    ]


def _refined(fits: _Fits, look: Look) -> Look:
    offset_s, lag_s = OFFSET_S / 2, max(look.lag_s, LAGS_S[1]) / 4
    halvings = 0
    for _ in range(STEPS):
        offsets_s = look.offset_s + offset_s * np.array([0.0, -1.0, 1.0])
        lags_s = [look.lag_s, max(0.0, look.lag_s - lag_s), look.lag_s + lag_s]
        left = np.array([fits.lines(share).left for share in fits.shares(look.seen_s, offsets_s, lags_s)])
        # Of equals the first is taken: where no neighbour is better, that is the look itself.
        along, across = divmod(int(np.argmin(left)), len(offsets_s))
        if (along, across) != (0, 0):
            look = Look(look.seen_s, lags_s[along], float(offsets_s[across]))
            continue
        halvings += 1
        if halvings == HALVINGS:
            break
        offset_s, lag_s = offset_s / 2, lag_s / 2
    return look


def _slopes(fits: _Fits, look: Look) -> Floats:
    """The change of the shares with the offset and, where there is one, with the lag, by central differences."""
    offsets_s = np.array([look.offset_s - SLOPE_S, look.offset_s, look.offset_s + SLOPE_S])
    lags_s = [look.lag_s, look.lag_s * (1 - SLOPE), look.lag_s * (1 + SLOPE)] if look.lag_s else [0.0]
    at, *around = fits.shares(look.seen_s, offsets_s, lags_s)
    slopes = [(at[2] - at[0]) / (2 * SLOPE_S)]
    if around:
        slopes.append((around[1][1] - around[0][1]) / (2 * SLOPE * look.lag_s))
    return np.column_stack(slopes)

"""Which share of what a part-time sensor saw was prefill: when it looked, and how it lags, are fitted."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace

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


class _Lagging:
    """Seconds of prefill before a time, as a first-order lag shows them: the integral of the lagged step function."""

    def __init__(self, timeline: Sequence[Generation], lag_s: float) -> None:
        self._corners_s = np.array([at_s for call in timeline for at_s in (call.start_s, call.first_token_s)])
        lengths_s = [part for call in timeline for part in (0.0, call.first_token_s - call.start_s)]
        self._before_s = np.cumsum(lengths_s)
        self._level = np.tile([1.0, 0.0], len(timeline))
        self._lag_s = lag_s
        self._shown = np.zeros(len(self._corners_s))
        if lag_s:
            kept = np.exp(-np.diff(self._corners_s) / lag_s)
            for place, share in enumerate(kept):
                level = self._level[place]
                self._shown[place + 1] = level + (self._shown[place] - level) * share

    def before(self, times_s: Floats) -> Floats:
        """x' = (p - x)/τ, so that ∫x = ∫p - τ·x."""
        prefill_s = np.interp(times_s, self._corners_s, self._before_s)
        if not self._lag_s:
            return np.asarray(prefill_s)
        place = np.clip(np.searchsorted(self._corners_s, times_s, side="right") - 1, 0, None)
        since_s = np.maximum(0.0, times_s - self._corners_s[place])
        level = self._level[place]
        shown = level + (self._shown[place] - level) * np.exp(-since_s / self._lag_s)
        return np.asarray(prefill_s - self._lag_s * np.where(times_s < self._corners_s[0], 0.0, shown))


class _Fits:
    """Straight lines through the power of the pieces over the share of prefill that a look gives them."""

    def __init__(self, pieces: Sequence[Interval], timeline: Sequence[Generation], sensor: PartTime) -> None:
        starts_s = np.array([piece.start_s for piece in pieces])
        lengths_s = np.array([piece.end_s - piece.start_s for piece in pieces])
        self.power_w = np.array([piece.energy_j for piece in pieces]) / lengths_s
        self._mean_w = float(self.power_w.mean())
        self._counts = np.maximum(1, np.rint(lengths_s / sensor.period_s)).astype(int)
        self._owner = np.repeat(np.arange(len(pieces)), self._counts)
        within = np.concatenate([np.arange(count) for count in self._counts])
        self._begin_s = starts_s[self._owner] + within * (lengths_s / self._counts)[self._owner]
        self._timeline = timeline
        self._lagging: dict[float, _Lagging] = {}

    def share(self, look: Look) -> Floats:
        lagging = self._lagging.get(look.lag_s)
        if lagging is None:
            lagging = self._lagging[look.lag_s] = _Lagging(self._timeline, look.lag_s)
        from_s = self._begin_s + look.offset_s
        seen = (lagging.before(from_s + look.seen_s) - lagging.before(from_s)) / look.seen_s
        return np.asarray(np.bincount(self._owner, seen) / self._counts)

    def line(self, look: Look) -> tuple[float, float, float]:
        """Sum of the squared residuals, the power of prefill, and that of prefill above decode."""
        share, power_w = self.share(look), self.power_w - self._mean_w
        apart = share - share.mean()
        square = float(apart @ apart)
        if square < 1e-9:
            return float(power_w @ power_w), self._mean_w, 0.0
        above_w = float(apart @ power_w) / square
        left = float(power_w @ power_w) - above_w * float(apart @ power_w)
        return left, self._mean_w + above_w * (1 - float(share.mean())), above_w


def fit_seen_prefill(pieces: Sequence[Interval], timeline: Sequence[Generation], sensor: PartTime) -> SeenPrefill:
    """The look with the smallest sum of squared residuals: the unknown offset and lag are profiled out.

    pieces: of one device, each some whole periods of its sensor
    """
    fits = _Fits(pieces, timeline, sensor)
    tried = {look: fits.line(look) for look in _looks(sensor)}
    best = _refined(fits, min(tried, key=lambda look: tried[look][0]))
    left, _, above_w = fits.line(best)
    slopes = [_slope(fits, best, offset_s=SLOPE_S)]
    if best.lag_s:
        slopes.append(_slope(fits, best, lag_s=SLOPE * best.lag_s))
    as_good = [prefill_w for other, prefill_w, _ in tried.values() if other <= left * (1 + AS_GOOD / len(pieces))]
    return SeenPrefill(
        fits.power_w, fits.share(best), above_w * np.column_stack(slopes), max(as_good) - min(as_good) if as_good else 0
    )


def _looks(sensor: PartTime) -> list[Look]:
    """An update is published 0 to `lag_bound_s` after its period, and the seen part lies anywhere in that."""
    looks = []
    for share, lag_s in itertools.product(sorted({sensor.seen_share, *SHARES}), LAGS_S):
        seen_s = share * sensor.period_s
        offsets_s = np.arange(-sensor.lag_bound_s, sensor.period_s - seen_s + OFFSET_S / 2, OFFSET_S)
        looks += [Look(seen_s, lag_s, float(offset_s)) for offset_s in offsets_s]
    return looks


def _refined(fits: _Fits, look: Look) -> Look:
    offset_s, lag_s = OFFSET_S / 2, max(look.lag_s, LAGS_S[1]) / 4
    left = fits.line(look)[0]
    halvings = 0
    for _ in range(STEPS):
        near = [
            replace(look, offset_s=look.offset_s + across * offset_s, lag_s=max(0.0, look.lag_s + along * lag_s))
            for across, along in itertools.product((-1, 0, 1), repeat=2)
        ]
        lefts = [fits.line(other)[0] for other in near]
        place = int(np.argmin(lefts))
        if lefts[place] < left:
            look, left = near[place], lefts[place]
            continue
        halvings += 1
        if halvings == HALVINGS:
            break
        offset_s, lag_s = offset_s / 2, lag_s / 2
    return look


def _slope(fits: _Fits, look: Look, *, offset_s: float = 0.0, lag_s: float = 0.0) -> Floats:
    """The change of the shares with the offset or with the lag, by a central difference."""
    ahead = fits.share(replace(look, offset_s=look.offset_s + offset_s, lag_s=look.lag_s + lag_s))
    behind = fits.share(replace(look, offset_s=look.offset_s - offset_s, lag_s=look.lag_s - lag_s))
    return np.asarray((ahead - behind) / (2 * (offset_s + lag_s)))

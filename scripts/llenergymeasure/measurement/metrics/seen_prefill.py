"""Which share of what a part-time sensor saw was prefill: when it looked, and how it lags, are fitted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import optimize

from llenergymeasure.energy import Interval
from llenergymeasure.energy.integration.sensors import PartTime
from llenergymeasure.engine.generation.generation import Generation

Floats = NDArray[np.float64]
# What is tried first: the seen part of a period beside the family's own, time constants of a first-order lag in
# seconds, and the distance of the offsets from the start of the period to the seen part.
SHARES, LAGS_S, OFFSET_S = (0.5, 1.0), (0.0, 0.01, 0.02, 0.035, 0.05, 0.075, 0.1, 0.14), 0.01
# The best of these for each seen part is refined, as long as that helps, within these bounds beyond what is tried.
FEWEST_SHARE, LONGEST_LAG_S, FARTHEST_S = 0.02, 0.5, 0.3
# A sum of squares that falls by less than this share of itself falls by far less than the variance of one piece.
EVALUATIONS, NO_BETTER = 40, 1e-5
# A fit this much worse than the best, in units of its own variance, is as good: 8 is the 99 % point of χ² with 2 to 3
# degrees of freedom, rounded down.
AS_GOOD = 8.0
# Changes of the seen part, the lag and the middle in seconds, for the slopes.
SLOPES_S = np.array([0.002, 0.0025, 0.001])


class Look(NamedTuple):
    """How a sensor may look at power: `seen_s` of each period around `middle_s`, after a first-order lag."""

    seen_s: float
    lag_s: float
    middle_s: float


@dataclass(frozen=True)
class SeenPrefill:
    """The best fit to the pieces of a trace.

    power_w: of the whole pieces; share: of prefill in what was seen of each
    slopes_w: how the fitted power changes with what else was fitted, one column each; none of what is at a bound
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
    """One straight line per row of shares: sum of the squared residuals, power of prefill, and that above decode."""

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

    def share(self, look: Look) -> Floats:
        return self.shares(look.seen_s, np.array([look.middle_s]), [look.lag_s])[0][0]

    def shares(self, seen_s: float, middles_s: Floats, lags_s: Sequence[float]) -> list[Floats]:
        """For each lag: middles x pieces."""
        from_s = self._begin_s + (middles_s - seen_s / 2)[:, None]
        begins, ends = self._prefills.moments(from_s), self._prefills.moments(from_s + seen_s)
        shares = []
        for lag_s in lags_s:
            seen = (self._prefills.before(ends, lag_s) - self._prefills.before(begins, lag_s)) / seen_s
            shares.append(np.add.reduceat(seen, self._firsts, axis=1) / self._counts)
        return shares

    def residuals(self, look: Look) -> Floats:
        share = self.share(look)
        return self.power_w - self._mean_w - self.lines(share[None]).above_w[0] * (share - share.mean())

    def lines(self, share: Floats) -> _Lines:
        power_w = self.power_w - self._mean_w
        mean = share.mean(axis=1, keepdims=True)
        apart = share - mean
        square, product = np.einsum("ij,ij->i", apart, apart), apart @ power_w
        above_w = np.divide(product, square, out=np.zeros_like(square), where=square >= 1e-9)
        return _Lines(power_w @ power_w - above_w * product, self._mean_w + above_w * (1 - mean[:, 0]), above_w)


def fit_seen_prefill(pieces: Sequence[Interval], timeline: Sequence[Generation], sensor: PartTime) -> SeenPrefill:
    """The look with the smallest sum of squared residuals: seen part, middle and lag are profiled out.

    pieces: of one device, each some whole periods of its sensor
    """
    fits = _Fits(pieces, timeline, sensor)
    tried: list[_Lines] = []
    refined = []
    for seen_s, middles_s in _seen_parts(sensor):
        lines = [fits.lines(share) for share in fits.shares(seen_s, middles_s, LAGS_S)]
        lag, middle = divmod(int(np.argmin([line.left for line in lines])), len(middles_s))
        refined.append(_refined(fits, Look(seen_s, LAGS_S[lag], float(middles_s[middle])), sensor.period_s))
        tried += lines
    best, free = min(refined, key=lambda fit: float(np.sum(fits.residuals(fit[0]) ** 2)))
    share = fits.share(best)
    line = fits.lines(share[None])
    left = np.concatenate([line.left for line in tried])
    prefill_w = np.concatenate([line.prefill_w for line in tried])
    as_good_w = prefill_w[left <= line.left[0] * (1 + AS_GOOD / len(pieces))]
    return SeenPrefill(
        fits.power_w,
        share,
        line.above_w[0] * _slopes(fits, best, free, sensor.period_s),
        float(np.ptp(as_good_w)) if as_good_w.size else 0.0,
    )


def _seen_parts(sensor: PartTime) -> list[tuple[float, Floats]]:
    """An update is published 0 to `lag_bound_s` after its period, and the seen part lies anywhere in that."""
    parts = []
    for share in sorted({sensor.seen_share, *SHARES}):
        seen_s = share * sensor.period_s
        offsets_s = np.arange(-sensor.lag_bound_s, sensor.period_s - seen_s + OFFSET_S / 2, OFFSET_S)
        parts.append((seen_s, offsets_s + seen_s / 2))
    return parts


def _bounds(period_s: float) -> tuple[Look, Look]:
    return Look(FEWEST_SHARE * period_s, 0.0, -FARTHEST_S), Look(period_s, LONGEST_LAG_S, FARTHEST_S)


def _refined(fits: _Fits, look: Look, period_s: float) -> tuple[Look, NDArray[np.bool_]]:
    """The best look near this one, and which of its three figures are not at a bound."""
    lowest, highest = _bounds(period_s)
    # A start at a bound could stay there.
    start = np.clip(look, np.add(lowest, SLOPES_S), np.subtract(highest, SLOPES_S))
    fit = optimize.least_squares(
        lambda values: fits.residuals(Look(*values)),
        start,
        bounds=(lowest, highest),
        method="dogbox",
        x_scale=[OFFSET_S] * 3,
        ftol=NO_BETTER,
        max_nfev=EVALUATIONS,
    )
    return Look(*map(float, fit.x)), fit.active_mask == 0


def _slopes(fits: _Fits, look: Look, free: NDArray[np.bool_], period_s: float) -> Floats:
    """The change of the shares with each free figure, between one change below and one above it, within the bounds."""
    lowest, highest = _bounds(period_s)
    slopes = []
    for change_s in np.diag(SLOPES_S)[free]:
        below, above = np.maximum(lowest, look - change_s), np.minimum(highest, look + change_s)
        slopes.append((fits.share(Look(*above)) - fits.share(Look(*below))) / np.sum(above - below))
    return np.column_stack(slopes) if slopes else np.empty((len(fits.power_w), 0))

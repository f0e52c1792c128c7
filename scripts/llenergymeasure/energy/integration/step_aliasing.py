"""What a sensor that looks at a part of each period makes of power that repeats with known steps."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from llenergymeasure.energy.integration.tick_grid import Tick

Floats = NDArray[np.float64]
Complexes = NDArray[np.complex128]
# Harmonics of a step that are fitted. Beyond them a step of two levels has 5 % of its power, of which a quarter of a
# period averages most away.
HARMONICS = 12
# Half waves over the window that power may drift by for other reasons, and by how much of itself each: one standard
# deviation, over the number of the half wave.
DRIFTS, DRIFT = 8, 0.02
# Fewer ticks say nothing beyond the prior.
FEWEST_TICKS = 8
# The noise is estimated from what the fit leaves, and the fit weighs by the noise.
ROUNDS = 6
LEAST_W = 0.01
# How the name of this contribution to a budget begins.
ALIASING = "power that repeats in step with"


@dataclass(frozen=True)
class Cycles:
    """Stretches of time in which power takes the same course, in order: decoding steps, or calls of the library."""

    starts_s: Floats
    ends_s: Floats

    def beyond(self, start_s: float, end_s: float) -> Cycles:
        """The same with the first and the last repeated over the time before and after, where there is some."""
        lengths_s = self.ends_s - self.starts_s
        before = max(0, math.ceil((self.starts_s[0] - start_s) / lengths_s[0]))
        after = max(0, math.ceil((end_s - self.ends_s[-1]) / lengths_s[-1]))
        ahead_s = self.starts_s[0] - lengths_s[0] * np.arange(before, 0, -1)
        behind_s = self.ends_s[-1] + lengths_s[-1] * np.arange(after)
        return Cycles(
            np.concatenate([ahead_s, self.starts_s, behind_s]),
            np.concatenate([ahead_s + lengths_s[0], self.ends_s, behind_s + lengths_s[-1]]),
        )

    def between(self, times_s: Floats) -> Floats:
        """Seconds outside all cycles up to these times, but for a constant."""
        corners_s = np.column_stack([self.starts_s, self.ends_s]).ravel()
        covered_s = np.cumsum(np.column_stack([0 * self.starts_s, self.ends_s - self.starts_s]).ravel())
        return np.asarray(times_s - np.interp(times_s, corners_s, covered_s), dtype=np.float64)

    def wave(self, times_s: Floats, harmonic: int) -> Complexes:
        """The integral of exp(2πi·harmonic·φ) up to these times; φ runs from 0 to 1 in each cycle, and is not outside.

        It vanishes over every whole cycle.
        """
        place = np.clip(np.searchsorted(self.starts_s, times_s, side="right") - 1, 0, len(self.starts_s) - 1)
        length_s = self.ends_s[place] - self.starts_s[place]
        phase = np.clip((times_s - self.starts_s[place]) / length_s, 0.0, 1.0)
        turn = 2j * np.pi * harmonic
        return np.asarray(length_s * (np.exp(turn * phase) - 1) / turn, dtype=np.complex128)


@dataclass(frozen=True)
class Sight:
    """How a counter with regular ticks sees: the first `share` of each period, published 0 to `lag_bound_s` late."""

    period_s: float
    share: float
    lag_bound_s: float
    start_s: float
    end_s: float


@dataclass(frozen=True)
class Aliasing:
    """The energy that a sensor showed too much in a window, in joules: estimate and standard uncertainty.

    ticks: without the part of the cycles; spent: parameters that the data determined, of `ticks` - 1
    """

    excess_j: float
    standard_j: float
    ticks: Sequence[Tick] = field(repr=False)
    spent: float

    @property
    def widening(self) -> float:
        """What the scatter of the ticks left over is to be multiplied by, because the fit used some of it up."""
        many = len(self.ticks) - 1
        return math.sqrt(many / max(1.0, many - self.spent))


def estimate_aliasing(ticks: Sequence[Tick], sight: Sight, loops: Sequence[Cycles], mean_w: float) -> Aliasing | None:
    """What the sensor showed too much of the cycles; None below `FEWEST_TICKS` steps of the counter.

    Let power within a cycle be its mean and Σ Re(c_m·exp(-2πi·m·φ)), m = 1, 2, ... A tick k shows the seen share of its
    period,

        P_k = P + drift + Σ Re(c̄_m·h_mk) + noise,   h_mk = mean of exp(2πi·m·φ) over the seen share

    linear in c_m, since the times of the cycles, and with them h_mk, are known. Where in the period the sensor looks,
    and a lag, only turn c_m. Of the energy of the window the sensor shows Σ Re(c̄_m·H_m) too much, H_m being what the
    h_mk add up to with the weights the ticks have in it: nearly nothing where the cycles pass through all phases of the
    period, and everything where a multiple of them is a period. In that case all h_mk are alike, the c_m cannot be told
    from P, and only what is known beforehand limits them.

    That is a bound. Power is never negative and is taken to rise no further above its mean than it can fall below it:
    from 0 to 2P. The variance within a cycle is then at most P² (Bhatia and Davis 2000, American Mathematical Monthly
    107:353), its root a bound of the contrast; anywhere below a bound is P²/3 (GUM 4.3.7). Of it the harmonic m has the
    share 1/m², as in a course that jumps. Drift: half waves over the window of `DRIFT` of P, so that a slow change is
    not taken for a slow beat. The rest is linear regression with normal priors (Gelman et al., Bayesian Data Analysis,
    14.8): the excess is the posterior mean of Σ Re(c̄_m·H_m), and its deviation the uncertainty.
    """
    if len(ticks) <= FEWEST_TICKS:
        return None
    times_s = np.array([tick.time_s for tick in ticks])
    joules = np.array([tick.energy_j for tick in ticks])
    lengths_s, powers_w = np.diff(times_s), np.diff(joules) / np.diff(times_s)
    columns, excess, deviations = _design(times_s, sight, loops, mean_w)
    periods = np.maximum(1, np.rint(lengths_s / sight.period_s))
    fitted = _fit(columns * np.sqrt(periods)[:, None], powers_w * np.sqrt(periods), deviations)
    waves = np.flatnonzero(excess)
    part_w = columns[:, waves] @ fitted.mean[waves]
    left_j = np.concatenate([[0.0], np.cumsum((powers_w - part_w) * lengths_s)])
    return Aliasing(
        float(excess @ fitted.mean),
        math.sqrt(max(0.0, float(excess @ fitted.covariance @ excess))),
        [Tick(float(time_s), float(energy_j)) for time_s, energy_j in zip(times_s, left_j, strict=True)],
        fitted.spent,
    )


def _design(times_s: Floats, sight: Sight, loops: Sequence[Cycles], mean_w: float) -> tuple[Floats, Floats, Floats]:
    """Columns, one row per step of the counter; what each adds to the window's energy, J/W; prior deviations in W."""
    seen = _Seen(times_s, sight)
    middles = (times_s[1:] + times_s[:-1]) / 2 - times_s[0]
    columns, excess, deviations = [np.ones(len(times_s) - 1)], [0.0], [math.inf]
    for number in range(1, DRIFTS + 1):
        columns.append(np.cos(np.pi * number * middles / (times_s[-1] - times_s[0])))
        excess.append(0.0)
        deviations.append(DRIFT * mean_w / number)
    share = 1 / np.arange(1, HARMONICS + 1) ** 2
    for cycles in loops:
        longer = cycles.beyond(float(seen.edges_s.min()), float(seen.edges_s.max()))
        rows, excess_s = seen.look(longer.between(seen.edges_s))
        columns.append(rows.real)
        excess.append(excess_s.real)
        deviations.append(mean_w)
        for harmonic, of_variance in enumerate(share / share.sum(), 1):
            rows, excess_s = seen.look(longer.wave(seen.edges_s, harmonic))
            columns += [rows.real, rows.imag]
            excess += [excess_s.real, excess_s.imag]
            deviations += [mean_w * math.sqrt(of_variance / 3)] * 2
    return np.column_stack(columns), np.array(excess), np.array(deviations)


class _Seen:
    """The seen shares of the periods in and around a window.

    edges_s: when each begins, when each ends, and at last the two edges of the window
    """

    def __init__(self, times_s: Floats, sight: Sight) -> None:
        counts = np.maximum(1, np.rint(np.diff(times_s) / sight.period_s)).astype(int)
        self.counts = counts
        self._period_s = (times_s[-1] - times_s[0]) / counts.sum()
        before = math.ceil(max(0.0, times_s[0] - sight.start_s) / self._period_s) + 1
        after = math.ceil(max(0.0, sight.end_s + sight.lag_bound_s - times_s[-1]) / self._period_s) + 1
        begin_s = times_s[0] + self._period_s * np.arange(-before, counts.sum() + after)
        self._inside = slice(before, before + counts.sum())
        lags_s = np.linspace(0.0, sight.lag_bound_s, 21)[:, None]
        till_end_s = np.clip(sight.end_s + lags_s - begin_s, 0.0, self._period_s)
        till_start_s = np.clip(sight.start_s + lags_s - begin_s, 0.0, self._period_s)
        self._weights_s = (till_end_s - till_start_s).mean(axis=0)
        self._seen_s = sight.share * self._period_s
        self._edges = np.array([sight.start_s, sight.end_s])
        self.edges_s = np.concatenate([begin_s, begin_s + self._seen_s, self._edges])

    def look(self, integral: Floats | Complexes) -> tuple[Complexes, complex]:
        """Of a course given by its integral at `edges_s`: what each step of the counter shows, the window's excess."""
        many = len(self._weights_s)
        means = (integral[many : 2 * many] - integral[:many]) / self._seen_s
        owners = np.repeat(np.arange(len(self.counts)), self.counts)
        rows = np.zeros(len(self.counts), dtype=np.complex128)
        np.add.at(rows, owners, means[self._inside])
        excess = complex(self._weights_s @ means - (integral[-1] - integral[-2]))
        return rows / self.counts, excess


@dataclass(frozen=True)
class _Fitted:
    mean: Floats
    covariance: Floats
    spent: float


def _fit(columns: Floats, powers_w: Floats, deviations_w: Floats) -> _Fitted:
    """The posterior of the coefficients, with the noise from what is left over."""
    normal, right = columns.T @ columns, columns.T @ powers_w
    prior = np.diag(1 / deviations_w**2)
    noise_w2 = sum((later - earlier) ** 2 for earlier, later in pairwise(powers_w)) / 2 / (len(powers_w) - 1)
    for _ in range(ROUNDS):
        noise_w2 = max(noise_w2, LEAST_W**2)
        covariance = np.linalg.inv(normal / noise_w2 + prior)
        mean = covariance @ right / noise_w2
        spent = float(np.trace(covariance @ normal)) / noise_w2
        residual_w = powers_w - columns @ mean
        noise_w2 = float(residual_w @ residual_w) / max(1.0, len(powers_w) - spent)
    return _Fitted(mean, covariance, spent)

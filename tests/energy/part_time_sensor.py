"""Counters whose sensor looks at a part of each period, or lags, over loads that repeat.

Written apart from `power_traces` and from the code under test: power is a staircase, its energy a straight line between
the corners, and the counter is worked out from that, so that there is no step of time and no driver.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from llenergymeasure.energy.integration.ticks import CounterReading

Floats = NDArray[np.float64]
# The load runs so long before the window and after it.
AROUND_S = 2.0
POLL_S, EDGE_S, CALL_S = 0.002, 0.4, 0.00002


@dataclass(frozen=True)
class Load:
    """Power between corners: watts[i] from corners_s[i] to corners_s[i + 1]."""

    corners_s: Floats
    watts: Floats

    def joules(self, times_s: Floats | Sequence[float] | float) -> Floats:
        """Drawn from the first corner to these times."""
        drawn = np.concatenate([[0.0], np.cumsum(np.diff(self.corners_s) * self.watts)])
        return np.asarray(np.interp(times_s, self.corners_s, drawn))


@dataclass(frozen=True)
class Sensor:
    """It sees `share` of each period from the offset `seen_at_s` on, after a first-order lag, and publishes late."""

    period_s: float = 0.1
    share: float = 0.25
    seen_at_s: float = 0.0
    lag_s: float = 0.0
    late_s: float = 0.0
    noise: float = 0.01

    def ticks(self, load: Load, rng: np.random.Generator) -> tuple[Floats, Floats]:
        """Times of the ticks in seconds, and the counter after each in joules."""
        first_s, last_s = float(load.corners_s[0]), float(load.corners_s[-1])
        begin_s = np.arange(first_s + rng.uniform(0, self.period_s) + 1e-6, last_s - self.period_s, self.period_s)
        drawn = lagging(load, self.lag_s) if self.lag_s else load
        from_s = begin_s + self.seen_at_s
        seen_w = (drawn.joules(from_s + self.share * self.period_s) - drawn.joules(from_s)) / (
            self.share * self.period_s
        )
        seen_w = seen_w * (1 + self.noise * rng.standard_normal(len(seen_w)))
        return begin_s + self.period_s + self.late_s, np.cumsum(seen_w * self.period_s)


def lagging(load: Load, lag_s: float, step_s: float = 0.0005) -> Load:
    """What a first-order lag makes of a load, in steps far shorter than the lag."""
    corners_s = np.arange(load.corners_s[0], load.corners_s[-1], step_s)
    mean_w = np.diff(load.joules(corners_s)) / step_s
    kept = np.exp(-step_s / lag_s)
    # y[n] = kept·y[n-1] + (1 - kept)·x[n], in blocks that a weighted sum does not overflow in.
    shown = np.empty_like(mean_w)
    last = mean_w[0]
    block = max(1, int(20 * lag_s / step_s))
    for start in range(0, len(mean_w), block):
        part = mean_w[start : start + block]
        weights = kept ** -np.arange(1.0, len(part) + 1)
        shown[start : start + block] = (last + np.cumsum(part * (1 - kept) * weights)) / weights
        last = shown[min(start + block, len(mean_w)) - 1]
    return Load(corners_s, shown)


def loop(
    rng: np.random.Generator,
    *,
    step_s: float,
    jitter: float,
    window_s: float,
    busy: tuple[float, float, float] = (0.6, 450.0, 150.0),
    pauses: int = 0,
) -> tuple[Load, Floats]:
    """A loop of equal steps: busy for a share of each, then waiting. The load, and start and end of each step.

    busy: share, watts while busy, watts while waiting
    pauses: how often in the window the loop waits longer, at equal distances; one step in all on average
    """
    share, busy_w, wait_w = busy
    many = int((window_s + 2 * AROUND_S) / step_s * 1.1) + 10
    lengths_s = step_s * np.maximum(0.2, 1 + jitter * rng.standard_normal(many))
    waits_s = np.zeros(many)
    after = (AROUND_S + window_s * np.arange(1, pauses + 1) / (pauses + 1)) / step_s
    waits_s[after.astype(int)] = rng.uniform(0, 2 * step_s / max(1, pauses), pauses)
    starts_s = np.concatenate([[0.0], np.cumsum(lengths_s + waits_s)])[:-1] - AROUND_S - rng.uniform(0, step_s)
    steps_s = np.column_stack([starts_s, starts_s + lengths_s])
    steps_s = steps_s[steps_s[:, 0] <= window_s + AROUND_S]
    busy_until_s = steps_s[:, 0] + share * (steps_s[:, 1] - steps_s[:, 0])
    corners_s = np.column_stack([steps_s[:, 0], busy_until_s]).ravel()
    return Load(corners_s, np.tile([busy_w, wait_w], len(steps_s))[:-1]), steps_s


def readings(times_s: Floats, joules: Floats, window_s: float, rng: np.random.Generator) -> list[CounterReading]:
    """The counter polled around both edges of the window from 0 to `window_s`, and every 50 ms between them."""
    polled = [np.arange(at_s - EDGE_S, at_s + EDGE_S, POLL_S) for at_s in (0.0, window_s)]
    between = np.arange(EDGE_S + 0.05, window_s - EDGE_S, 0.05)
    at_s = np.concatenate([polled[0], between + rng.uniform(-0.0125, 0.0125, len(between)), polled[1]])
    place = np.searchsorted(times_s, at_s, side="right") - 1
    shown = np.where(place >= 0, joules[np.maximum(place, 0)], 0.0)
    return [
        CounterReading(float(time_s), CALL_S, round(1e3 * float(shown_j)))
        for time_s, shown_j in zip(at_s, shown, strict=True)
    ]


def batches(
    rng: np.random.Generator,
    *,
    prefill_s: float,
    decode_s: float,
    window_s: float,
    powers_w: tuple[float, float] = (600.0, 250.0),
    jitter: float = 0.01,
) -> tuple[Load, Floats]:
    """Calls one after the other: a prefill and a decode, each as long as `jitter` has it.

    The load, and one row per call: start, first token, end.
    """
    many = int((window_s + 2 * AROUND_S) / (prefill_s + decode_s) * 1.2) + 10
    lengths_s = np.array([prefill_s, decode_s]) * (1 + jitter * rng.standard_normal((many, 2)))
    corners_s = np.concatenate([[0.0], np.cumsum(lengths_s.ravel())]) - AROUND_S
    calls = np.column_stack([corners_s[:-1:2], corners_s[1::2], corners_s[2::2]])
    last = int(np.searchsorted(calls[:, 2], window_s + AROUND_S)) + 1
    return Load(corners_s[: 2 * last + 1], np.tile(powers_w, last)), calls[:last]

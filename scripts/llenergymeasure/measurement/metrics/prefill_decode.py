"""Prefill and decode energy from one window's trace: which phase ran in which piece of it."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llenergymeasure.energy import Interval
from llenergymeasure.engine.generation.generation import Generation

Floats = NDArray[np.float64]
# Two powers are fitted: fewer pieces than this do not show how well.
FEWEST_PIECES = 10
# A 95 % interval of a normal quantity (GUM G.1.3).
COVERAGE = 1.96


@dataclass(frozen=True)
class Part:
    """Energy of a phase over the window, with one standard uncertainty of the split, in joules; gain not included."""

    energy_j: float
    standard_j: float


@dataclass(frozen=True)
class TraceSplit:
    """A window's energy by phase. What lies between two calls of the library counts as decode."""

    prefill: Part
    decode: Part


def split_trace(
    intervals: Sequence[Interval], timeline: Sequence[Generation] | None
) -> tuple[TraceSplit | None, str | None]:
    """Split by the first-token events, or None and the reason.

    A piece of the trace (a counter tick of 100 ms, say) holds some prefill and some decode. Over all pieces k of a
    device, E_k = P_prefill·x_k + P_decode·y_k with x_k and y_k the seconds of either phase in it: a regression through
    the origin gives both powers, and power times the phase's seconds its energy. Uncertainty: Newey and West (1987),
    Econometrica 55, because what is left over is correlated from piece to piece.
    """
    if timeline is None:
        return None, "prefill and decode overlap in time (continuous batching)"
    if not intervals:
        return None, "the meter gives no trace of the window"
    splits: list[TraceSplit] = []
    by_device = sorted(intervals, key=lambda piece: (piece.device, piece.start_s))
    for device, pieces in itertools.groupby(by_device, key=lambda piece: piece.device):
        split, reason = _split_device(list(pieces), timeline)
        if split is None:
            return None, f"{device}: {reason}"
        splits.append(split)
    return (
        TraceSplit(
            _summed([split.prefill for split in splits]),
            _summed([split.decode for split in splits]),
        ),
        None,
    )


def agreement(one: Part, other: Part) -> dict[str, Any]:
    """Whether two figures of the same instrument agree within the 95 % interval of their difference."""
    difference = one.energy_j - other.energy_j
    allowed = COVERAGE * math.hypot(one.standard_j, other.standard_j)
    return {"difference_j": difference, "allowed_j": allowed, "agrees": abs(difference) <= allowed}


def _split_device(pieces: list[Interval], timeline: Sequence[Generation]) -> tuple[TraceSplit | None, str | None]:
    if len(pieces) < FEWEST_PIECES:
        return None, f"the trace has {len(pieces)} pieces, {FEWEST_PIECES} are needed"
    starts = np.array([piece.start_s for piece in pieces])
    ends = np.array([piece.end_s for piece in pieces])
    prefill_s = _prefill_before(ends, timeline) - _prefill_before(starts, timeline)
    seconds = np.column_stack([prefill_s, (ends - starts) - prefill_s])
    joules = np.array([piece.energy_j for piece in pieces])
    if np.linalg.cond(seconds) > 1e3 or np.ptp(prefill_s / (ends - starts)) < 0.05:
        return None, "every piece of the trace holds the same mixture of prefill and decode"
    powers, covariance = _regress(seconds, joules)
    totals = seconds.sum(axis=0)
    deviations = np.sqrt(np.diag(covariance)) * totals
    # The trace covers the window but for its ends: the same powers hold there.
    window = np.array(_phase_seconds(timeline))
    scale = window / totals
    return (
        TraceSplit(
            Part(float(powers[0] * window[0]), float(deviations[0] * scale[0])),
            Part(float(powers[1] * window[1]), float(deviations[1] * scale[1])),
        ),
        None,
    )


def _phase_seconds(timeline: Sequence[Generation]) -> tuple[float, float]:
    prefill_s = math.fsum(call.first_token_s - call.start_s for call in timeline)
    return prefill_s, timeline[-1].end_s - timeline[0].start_s - prefill_s


def _prefill_before(times_s: Floats, timeline: Sequence[Generation]) -> Floats:
    """Seconds of prefill before each of these times: a staircase of ramps, so linear between its corners."""
    corners_s = np.array([time_s for call in timeline for time_s in (call.start_s, call.first_token_s)])
    lengths_s = np.array([part for call in timeline for part in (0.0, call.first_token_s - call.start_s)])
    return np.asarray(np.interp(times_s, corners_s, np.cumsum(lengths_s)), dtype=np.float64)


def _regress(seconds: Floats, joules: Floats) -> tuple[Floats, Floats]:
    """Least squares, and the covariance of Newey and West with lags to 4·(n/100)^(2/9)."""
    powers, *_ = np.linalg.lstsq(seconds, joules, rcond=None)
    n = len(joules)
    scores = seconds * (joules - seconds @ powers)[:, None]
    meat = scores.T @ scores
    lags = math.floor(4 * (n / 100) ** (2 / 9))
    for lag in range(1, lags + 1):
        product = scores[lag:].T @ scores[:-lag]
        meat += (1 - lag / (lags + 1)) * (product + product.T)
    bread = np.linalg.inv(seconds.T @ seconds)
    covariance = bread @ meat @ bread * n / (n - 2)
    return np.asarray(powers), np.asarray(covariance)


def _summed(parts: Sequence[Part]) -> Part:
    return Part(math.fsum(part.energy_j for part in parts), math.hypot(*(part.standard_j for part in parts)))

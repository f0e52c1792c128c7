"""Prefill and decode energy from one window's trace: which phase ran in which piece of it."""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft, stats

from llenergymeasure.energy import Interval
from llenergymeasure.energy.integration.sensors import PartTime
from llenergymeasure.engine.generation.generation import Generation
from llenergymeasure.measurement.metrics.seen_prefill import fit_seen_prefill

Floats = NDArray[np.float64]
# Two powers are fitted: fewer pieces than this do not show how well.
FEWEST_PIECES = 10
# A 95 % interval of a normal quantity (GUM G.1.3).
COVERAGE = 1.96
# Pieces whose shares of prefill differ by less cannot separate the phases.
LEAST_SPREAD = 0.05
SAME_MIXTURE = "every piece of the trace holds the same mixture of prefill and decode"
# Over this many periods, a sensor that samples an unknown part of each is nearly right.
ENOUGH_PERIODS = 5
# Fits that are as good and further apart than this many standard deviations of the best are not one answer: a 95 %
# interval is as wide.
AMBIGUOUS = 2 * COVERAGE
# Columns of unit length that differ by less than this are one.
ALIKE = 1e-6
NO_SENSORS: Mapping[str, PartTime] = {}


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
    intervals: Sequence[Interval],
    timeline: Sequence[Generation] | None,
    sensors: Mapping[str, PartTime] = NO_SENSORS,
) -> tuple[TraceSplit | None, str | None]:
    """Split by the first-token events, or None and the reason.

    A piece of the trace (a counter tick of 100 ms, say) holds some prefill and some decode. Over all pieces k of a
    device, E_k = P_prefill·x_k + P_decode·y_k with x_k and y_k the seconds of either phase in it: a regression through
    the origin gives both powers, and power times the phase's seconds its energy. Uncertainty: what is left over is
    correlated from piece to piece, hence the cosine sums of Lazarus, Lewis, Stock and Watson (2018), Journal of
    Business & Economic Statistics 36:541, with their number and Student's t. Its 95 % interval is `COVERAGE` times the
    standard uncertainty given.

    sensors: device → how its sensor looks, of those that see a part of each period. With x_k and y_k of the whole piece
    their errors would pull both powers together. They are those of the seen part instead, and where that lies and how
    it lags is fitted (`seen_prefill`); how well it is known counts in the uncertainty. Where it cannot be fitted, such
    a trace is split only where prefill lasts `ENOUGH_PERIODS`.
    """
    if timeline is None:
        return None, "prefill and decode overlap in time (continuous batching)"
    if not intervals:
        return None, "the meter gives no trace of the window"
    splits: list[TraceSplit] = []
    by_device = sorted(intervals, key=lambda piece: (piece.device, piece.start_s))
    for device, pieces in itertools.groupby(by_device, key=lambda piece: piece.device):
        split, reason = _split_device(list(pieces), timeline, sensors.get(device))
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


def _split_device(
    pieces: list[Interval], timeline: Sequence[Generation], sensor: PartTime | None
) -> tuple[TraceSplit | None, str | None]:
    if len(pieces) < FEWEST_PIECES:
        return None, f"the trace has {len(pieces)} pieces, {FEWEST_PIECES} are needed"
    if sensor is not None and sensor.regular:
        return _split_seen(pieces, timeline, sensor)
    prefill_s = statistics.median(call.first_token_s - call.start_s for call in timeline)
    if sensor is not None and prefill_s < ENOUGH_PERIODS * sensor.period_s:
        return None, (
            f"its sensor sees {sensor.seen_share:.0%} of {sensor.period_s * 1e3:.0f} ms, when is not known, and a "
            f"prefill of {prefill_s * 1e3:.0f} ms is shorter than {ENOUGH_PERIODS} of these periods"
        )
    starts = np.array([piece.start_s for piece in pieces])
    ends = np.array([piece.end_s for piece in pieces])
    in_prefill_s = _prefill_before(ends, timeline) - _prefill_before(starts, timeline)
    seconds = np.column_stack([in_prefill_s, (ends - starts) - in_prefill_s])
    joules = np.array([piece.energy_j for piece in pieces])
    if np.linalg.cond(seconds) > 1e3 or np.ptp(in_prefill_s / (ends - starts)) < LEAST_SPREAD:
        return None, SAME_MIXTURE
    powers, *_ = np.linalg.lstsq(seconds, joules, rcond=None)
    return _parts(np.asarray(powers), _covariance(seconds, joules - seconds @ powers), timeline), None


def _split_seen(
    pieces: list[Interval], timeline: Sequence[Generation], sensor: PartTime
) -> tuple[TraceSplit | None, str | None]:
    """By what the sensor saw. The first and the last piece are no whole periods."""
    seen = fit_seen_prefill(pieces[1:-1], timeline, sensor)
    if np.ptp(seen.share) < LEAST_SPREAD:
        return None, SAME_MIXTURE
    shares = np.column_stack([seen.share, 1 - seen.share])
    powers, *_ = np.linalg.lstsq(shares, seen.power_w, rcond=None)
    covariance = _covariance(np.column_stack([shares, seen.slopes_w]), seen.power_w - shares @ powers)[:2, :2]
    if seen.spread_w > AMBIGUOUS * math.sqrt(covariance[0, 0]):
        return None, (
            f"its sensor sees {sensor.seen_share:.0%} of {sensor.period_s * 1e3:.0f} ms, and the trace does not tell "
            "which: prefills come in step with it, or hardly differ from decode"
        )
    return _parts(np.asarray(powers), covariance, timeline), None


def _parts(powers: Floats, covariance: Floats, timeline: Sequence[Generation]) -> TraceSplit:
    """Of the whole window: the trace does not cover its ends, but the same powers hold there."""
    seconds = np.array(_phase_seconds(timeline))
    energies, deviations = powers * seconds, np.sqrt(np.diag(covariance)) * seconds
    return TraceSplit(*(Part(float(energies[place]), float(deviations[place])) for place in (0, 1)))


def _phase_seconds(timeline: Sequence[Generation]) -> tuple[float, float]:
    prefill_s = math.fsum(call.first_token_s - call.start_s for call in timeline)
    return prefill_s, timeline[-1].end_s - timeline[0].start_s - prefill_s


def _prefill_before(times_s: Floats, timeline: Sequence[Generation]) -> Floats:
    """Seconds of prefill before each of these times: a staircase of ramps, so linear between its corners."""
    corners_s = np.array([time_s for call in timeline for time_s in (call.start_s, call.first_token_s)])
    lengths_s = np.array([part for call in timeline for part in (0.0, call.first_token_s - call.start_s)])
    return np.asarray(np.interp(times_s, corners_s, np.cumsum(lengths_s)), dtype=np.float64)


def _covariance(columns: Floats, residuals: Floats) -> Floats:
    """Of least squares, times what Student's t has more than the normal distribution.

    u: n pieces' shares in the error of each figure. Its cosine sums c_j = √(2/n) Σ u_k cos(πj(k - ½)/n) to the lowest
    ν = 0.4·n^(2/3) frequencies are ν independent looks at the variance of Σ u = n·mean(c_j²), with ν degrees of
    freedom.
    """
    n = len(residuals)
    norms = np.linalg.norm(columns, axis=0)
    # What was fitted beside the powers may be alike: to a short lag, the slopes of the lag and the offset are one.
    scale = np.where(norms > 0, norms, 1.0)
    estimator = np.linalg.pinv(columns / scale, rcond=ALIKE) / scale[:, None]
    freedom = max(1, math.floor(0.4 * n ** (2 / 3)))
    sums = fft.dct(estimator * residuals, axis=1, norm="ortho")[:, 1 : freedom + 1]
    wider = stats.t.ppf(0.975, freedom) / COVERAGE
    return np.asarray(wider**2 * n / (n - columns.shape[1]) * n / freedom * (sums @ sums.T))


def _summed(parts: Sequence[Part]) -> Part:
    return Part(math.fsum(part.energy_j for part in parts), math.hypot(*(part.standard_j for part in parts)))

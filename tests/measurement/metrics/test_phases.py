"""Prefill and decode out of one trace."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest

from llenergymeasure.energy import Interval
from llenergymeasure.engine.generation.generation import Generation
from llenergymeasure.measurement.metrics.prefill_decode import COVERAGE, Part, agreement, split_trace


def timeline(calls: int, *, prefill_s: float, decode_s: float, gap_s: float = 0.0) -> list[Generation]:
    starts_s = [100 + number * (prefill_s + decode_s + gap_s) for number in range(calls)]
    return [Generation(at_s, at_s + prefill_s, at_s + prefill_s + decode_s) for at_s in starts_s]


def trace(
    calls: list[Generation],
    *,
    prefill_w: float,
    decode_w: float,
    tick_s: float = 0.1,
    noise: float = 0.0,
    device: str = "GPU-a",
) -> list[Interval]:
    """What a counter that ticks shows of these calls."""
    rng = random.Random(7)
    pieces = []
    at_s = calls[0].start_s + 0.037
    while at_s + tick_s <= calls[-1].end_s:
        prefill_s = sum(max(0.0, min(call.first_token_s, at_s + tick_s) - max(call.start_s, at_s)) for call in calls)
        energy_j = decode_w * tick_s + (prefill_w - decode_w) * prefill_s
        pieces.append(Interval(device, at_s, at_s + tick_s, energy_j * (1 + rng.gauss(0, noise))))
        at_s += tick_s
    return pieces


@pytest.mark.parametrize("prefill_s", [0.013, 0.07, 0.4])
def test_the_powers_of_both_phases_come_out_of_ticks_that_mix_them(prefill_s: float) -> None:
    calls = timeline(40, prefill_s=prefill_s, decode_s=0.331)
    split, why = split_trace(trace(calls, prefill_w=600, decode_w=250), calls)
    assert why is None and split is not None
    assert split.prefill.energy_j == pytest.approx(600 * 40 * prefill_s, rel=1e-6)
    assert split.decode.energy_j == pytest.approx(250 * 40 * 0.331, rel=1e-6)


def test_its_uncertainty_covers_the_true_value_about_as_often_as_it_says() -> None:
    covered = 0
    for seed in range(100):
        rng = random.Random(seed)
        calls = timeline(60, prefill_s=0.05 + rng.random() * 0.1, decode_s=0.2 + rng.random() * 0.3)
        noisy = [
            Interval(piece.device, piece.start_s, piece.end_s, piece.energy_j * (1 + rng.gauss(0, 0.05)))
            for piece in trace(calls, prefill_w=500, decode_w=200)
        ]
        split, _ = split_trace(noisy, calls)
        assert split is not None
        true_j = 500 * sum(call.first_token_s - call.start_s for call in calls)
        covered += abs(split.prefill.energy_j - true_j) <= 1.96 * split.prefill.standard_j
    assert 85 <= covered <= 100


@pytest.mark.parametrize(("calls", "decode_s", "kept"), [(4, 0.3, 0.0), (12, 1.0, 0.7)])
def test_the_interval_holds_for_few_pieces_and_for_noise_that_lasts(calls: int, decode_s: float, kept: float) -> None:
    """15 independent pieces, or 239 whose noise keeps 0.7 of the last piece's: 95 % of 300 intervals, give or take 3.

    A normal quantile with the variance over the fewest lags would give 88 and 86 %.
    """
    rng = np.random.default_rng(11)
    timed = timeline(calls, prefill_s=2.0 - decode_s if kept else 0.1, decode_s=decode_s)
    plain = trace(timed, prefill_w=500, decode_w=200)
    true_j = 500 * sum(call.first_token_s - call.start_s for call in timed)
    covered = 0
    for _ in range(300):
        fresh_j = rng.standard_normal(len(plain))
        noise_j = [fresh_j[0]]
        for one_j in fresh_j[1:]:
            noise_j.append(kept * noise_j[-1] + one_j)
        noisy = [
            Interval(piece.device, piece.start_s, piece.end_s, piece.energy_j + off_j)
            for piece, off_j in zip(plain, noise_j, strict=True)
        ]
        split, _ = split_trace(noisy, timed)
        assert split is not None
        covered += abs(split.prefill.energy_j - true_j) <= COVERAGE * split.prefill.standard_j
    assert 0.92 <= covered / 300 <= 0.98


def test_several_devices_are_split_apart_and_added() -> None:
    calls = timeline(40, prefill_s=0.1, decode_s=0.3)
    one = trace(calls, prefill_w=600, decode_w=250)
    two = trace(calls, prefill_w=400, decode_w=100, device="GPU-b")
    alone, _ = split_trace(one, calls)
    both, _ = split_trace([*one, *two], calls)
    assert alone is not None and both is not None
    assert both.prefill.energy_j == pytest.approx(alone.prefill.energy_j * 1000 / 600, rel=0.05)


def test_what_cannot_be_split_says_why() -> None:
    calls = timeline(40, prefill_s=0.1, decode_s=0.3)
    assert split_trace([], calls) == (None, "the meter gives no trace of the window")
    assert "overlap" in str(split_trace(trace(calls, prefill_w=1, decode_w=1), None)[1])
    few = trace(calls, prefill_w=600, decode_w=250)[:4]
    assert split_trace(few, calls)[1] == "GPU-a: the trace has 4 pieces, 10 are needed"
    # Calls of 1 ms in ticks of 100 ms: every tick holds the same mixture.
    fast = timeline(4000, prefill_s=0.0002, decode_s=0.0008)
    pieces = [Interval("GPU-a", 100 + 0.1 * tick, 100 + 0.1 * (tick + 1), 20.0) for tick in range(30)]
    assert (
        split_trace(pieces, fast)[1] == "GPU-a: every piece of the trace holds the same mixture of prefill and decode"
    )


def test_two_figures_agree_within_the_interval_of_their_difference() -> None:
    allowed = 1.96 * math.hypot(3.0, 4.0)
    close = agreement(Part(100.0, 3.0), Part(100.0 + 0.99 * allowed, 4.0))
    assert close["agrees"] and close["allowed_j"] == pytest.approx(allowed)
    assert not agreement(Part(100.0, 3.0), Part(100.0 + 1.01 * allowed, 4.0))["agrees"]

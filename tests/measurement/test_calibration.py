"""Warm-up until flat, and windows of whole passes."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from llenergymeasure.config import WarmupConfig
from llenergymeasure.measurement.calibration import (
    Calibration,
    calibrate,
    coefficient_of_variation,
    passes_for,
    warm_up,
)


def giving(*seconds: float) -> Callable[[], float]:
    """A pass that takes these times one after the other, then the last one for ever."""
    left = list(seconds)
    return lambda: left.pop(0) if len(left) > 1 else left[0]


def test_warm_up_goes_on_until_the_last_latencies_are_flat() -> None:
    latencies, stable = warm_up(giving(9, 5, 2, 1.0, 1.01, 0.99, 1.0), WarmupConfig(cv_threshold=0.05, cv_window=4))
    assert latencies == [9, 5, 2, 1.0, 1.01, 0.99, 1.0]
    assert stable


def test_warm_up_gives_up_and_says_so() -> None:
    noisy = giving(*[1, 2] * 50)
    latencies, stable = warm_up(noisy, WarmupConfig(max_passes=6))
    assert len(latencies) == 6
    assert not stable


def test_a_fixed_count_is_taken_at_its_word() -> None:
    latencies, stable = warm_up(giving(9, 1), WarmupConfig(passes=2))
    assert latencies == [9, 1]
    assert stable


def test_calibration_sizes_windows_by_the_warm_passes_not_the_cold_ones() -> None:
    found = calibrate(giving(60, 0.5), giving(30, 0.1), WarmupConfig(cv_window=3), min_window_s=10)
    assert found.pass_s == 0.5
    assert found.measured_passes == 20
    assert found.prefill_passes == 50
    assert found.latencies_s == (60, 0.5, 0.5, 0.5)
    assert Calibration.from_dict(found.to_dict()) == found
    assert found.expected_s == pytest.approx((4 + 20) * 0.5 + (50 + 1) * 0.1)


def test_a_single_warm_up_pass_is_not_what_windows_are_sized_by() -> None:
    found = calibrate(giving(60, 0.5), giving(0.1), WarmupConfig(passes=1), min_window_s=10)
    assert found.warmup_passes == 1
    assert found.pass_s == 0.5
    assert found.measured_passes == 20


def test_no_warm_up_at_all_still_calibrates() -> None:
    found = calibrate(giving(0.5), giving(0.1), WarmupConfig(passes=0), min_window_s=1)
    assert found.warmup_passes == 0
    assert found.measured_passes == 2


def test_a_window_holds_whole_passes_and_at_least_one() -> None:
    assert passes_for(10, 3) == 4
    assert passes_for(10, 60) == 1


def test_coefficient_of_variation_is_the_sample_one() -> None:
    assert coefficient_of_variation([1.0, 3.0]) == pytest.approx(2**0.5 / 2)
    assert coefficient_of_variation([1.0]) is None

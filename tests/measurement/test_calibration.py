"""Windows of whole passes, sized by those of the warm-up."""

from __future__ import annotations

import json
import math
from collections.abc import Callable

import pytest

from llenergymeasure.config import WarmupConfig
from llenergymeasure.energy import PhaseEnergy
from llenergymeasure.energy.uncertainty import Component
from llenergymeasure.measurement.calibration import Calibration, calibrate, passes_for
from llenergymeasure.measurement.metrics.variation import coefficient_of_variation
from llenergymeasure.measurement.warmth.warming import warm_up


def giving(*seconds: float) -> Callable[[], float]:
    """A pass that takes these times one after the other, then the last one for ever."""
    left = list(seconds)
    return lambda: left.pop(0) if len(left) > 1 else left[0]


def no_sensor() -> tuple[float, float | None]:
    return 0.0, None


def sized(
    run_pass: Callable[[], float],
    run_prefill: Callable[[], float],
    warmup: WarmupConfig,
    min_window_s: float,
    trial: Callable[[int, float], PhaseEnergy] | None = None,
) -> Calibration:
    return calibrate(
        warm_up(run_pass, warmup, no_sensor),
        run_pass,
        run_prefill,
        warmup,
        min_window_s=min_window_s,
        energy_resolution=0.01,
        trial=trial,
    )


def test_calibration_sizes_windows_by_the_warm_passes_not_the_cold_ones() -> None:
    calibration = sized(giving(60, 0.5), giving(30, 0.1), WarmupConfig(cv_window=3), 10)
    assert calibration.pass_s == 0.5
    assert calibration.measured_passes == 20
    assert calibration.prefill_passes == 50
    assert calibration.latencies_s == (60, 0.5, 0.5, 0.5)
    assert calibration.resolution_window_s is None
    assert Calibration.from_dict(json.loads(json.dumps(calibration.to_dict()))) == calibration
    assert calibration.expected_s == pytest.approx((4 + 20) * 0.5 + (50 + 1) * 0.1)


def test_a_single_warm_up_pass_is_not_what_windows_are_sized_by() -> None:
    calibration = sized(giving(60, 0.5), giving(0.1), WarmupConfig(passes=1), 10)
    assert calibration.warmup_passes == 1
    assert calibration.pass_s == 0.5
    assert calibration.measured_passes == 20


def test_no_warm_up_at_all_still_calibrates() -> None:
    calibration = sized(giving(0.5), giving(0.1), WarmupConfig(passes=0), 1)
    assert calibration.warmup_passes == 0
    assert calibration.measured_passes == 2


def test_windows_are_long_enough_for_the_meter() -> None:
    asked: list[int] = []

    def trial(passes: int, pass_s: float) -> PhaseEnergy:  # noqa: ARG001
        asked.append(passes)
        # 200 W, and an edge that is uncertain by 100 ms of it.
        return PhaseEnergy(200.0, "measured:x", None, (Component("edge", 20 / math.sqrt(12), "edge"),), 1.0)

    calibration = sized(giving(0.5), giving(0.1), WarmupConfig(passes=1), 1, trial)
    assert asked == [2]
    # U = 1.96·20/√12 J = 11.3 J is 0.8 % of 1414 J, which 200 W take 7.07 s for.
    assert calibration.resolution_window_s == pytest.approx(7.072, abs=1e-3)
    assert calibration.measured_passes == 15
    assert calibration.prefill_passes == 71
    # A trial as long as the shortest window that is allowed, ten seconds at most.
    for min_window_s, passes in ((4.0, 8), (60.0, 20)):
        sized(giving(0.5), giving(0.1), WarmupConfig(passes=1), min_window_s, trial)
        assert asked[-1] == passes


def test_a_window_holds_whole_passes_and_at_least_one() -> None:
    assert passes_for(10, 3) == 4
    assert passes_for(10, 60) == 1


def test_coefficient_of_variation_is_the_sample_one() -> None:
    assert coefficient_of_variation([1.0, 3.0]) == pytest.approx(2**0.5 / 2)
    assert coefficient_of_variation([1.0]) is None

"""A small version of the benchmark of the same name, and what it takes for granted."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from benchmarks.part_time_sensor import SENSORS, Booked, book, book_loop, holds, split_prefill
from energy.part_time_sensor import Load, Sensor, batches, lagging, loop

from llenergymeasure.energy.findings import sensor_aliased
from llenergymeasure.energy.integration.step_aliasing import Cycles


@pytest.mark.parametrize("jitter", [0.005, 0.02])
def test_known_steps_make_windows_of_a_part_time_sensor_right(jitter: float) -> None:
    """Of 40 windows at most 6 miss, by binomial chance once in 70 such tests."""
    known = [book_loop(seed, jitter) for seed in range(700, 740)]
    assert sum(not one.covers for one in known) <= 6
    assert np.quantile([abs(one.error) for one in known], 0.95) < 0.003
    assert np.median([one.stated for one in known]) < 0.002


def test_steps_that_keep_step_say_so_and_pauses_end_it() -> None:
    """Steps of half a period: without pauses the trace says nothing of their course, and the interval is wide."""
    alike = [book_loop(seed, 0.0005, step_s=0.05) for seed in range(700, 710)]
    assert sum(not one.covers for one in alike) <= 2
    assert min(one.stated for one in alike) > 0.02
    paused = [book_loop(seed, 0.0005, step_s=0.05, pauses=16) for seed in range(700, 710)]
    assert sum(not one.covers for one in paused) <= 2
    assert max(one.stated for one in paused) < 0.01


def test_the_finding_names_the_uncertainty() -> None:
    rng = np.random.default_rng(3)
    load, steps_s = loop(rng, step_s=0.05, jitter=0.0005, window_s=10.0)
    steps_s = steps_s[(steps_s[:, 0] >= 0) & (steps_s[:, 1] <= 10.0)]
    entry, _ = book(load, Sensor(), 10.0, rng, [Cycles(steps_s[:, 0], steps_s[:, 1])])
    (finding,) = sensor_aliased(entry)
    assert finding.code == "sensor-aliased" and "keep step with the sensor" in finding.message
    plain, _ = book(load, Sensor(), 10.0, rng)
    assert sensor_aliased(plain) == []


def test_prefill_by_trace_is_right_for_sensors_that_see_a_part_or_lag() -> None:
    """Whole ticks as regressors would be off by -9 to -40 %. Of 14 splits at most 3 miss."""
    splits = [
        split_prefill(seed, 0.05, 0.32, Sensor(**sensor))
        for seed, sensor in zip(range(900, 914), itertools.cycle(SENSORS.values()), strict=False)
    ]
    known = [one for one in splits if one is not None]
    assert len(known) >= 13
    assert sum(not one.covers for one in known) <= 3
    assert max(abs(one.error) for one in known) < 0.03


@pytest.mark.parametrize("share", [0.2, 0.35, 0.7])
def test_prefill_by_trace_is_right_where_the_sensor_sees_another_part_than_is_known_of_its_family(share: float) -> None:
    """One of 25, 50 or 100 % would be off by 1 %, with intervals of a quarter of that. Of 8 splits at most 2 miss."""
    splits = [split_prefill(seed, 0.05, 0.32, Sensor(share=share)) for seed in range(950, 958)]
    known = [one for one in splits if one is not None]
    assert len(known) == len(splits)
    assert sum(not one.covers for one in known) <= 2
    assert abs(np.mean([one.error for one in known])) < 0.003


def test_a_line_that_covers_too_seldom_or_refuses_fails() -> None:
    """Of 93 to 97 % a line may be, and it may refuse 5 %."""
    right, wrong = Booked(0.0, 0.1), Booked(0.2, 0.1)
    assert holds([right] * 94 + [wrong] * 6)
    assert not holds([right] * 92 + [wrong] * 8)
    assert not holds([right] * 98 + [wrong] * 2)
    assert not holds([right] * 94 + [wrong] * 6 + [None] * 6)
    assert not holds([None] * 100)


def test_a_load_and_its_lag_conserve_energy() -> None:
    load, calls = batches(np.random.default_rng(1), prefill_s=0.1, decode_s=0.4, window_s=5.0)
    first = calls[0]
    assert float(load.joules(first[2]) - load.joules(first[0])) == pytest.approx(
        600 * (first[1] - first[0]) + 250 * (first[2] - first[1])
    )
    step = Load(np.array([0.0, 1.0, 3.0]), np.array([100.0, 300.0]))
    shown = lagging(step, 0.1)
    # 0.1 s after the step a first-order lag of 0.1 s has made 1 - 1/e of it.
    assert np.interp(1.1, shown.corners_s[:-1], shown.watts) == pytest.approx(100 + 200 * (1 - np.exp(-1)), abs=1.0)

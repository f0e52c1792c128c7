"""A small version of the benchmark of the same name, and what it takes for granted."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from benchmarks.part_time_sensor import SENSORS, book, book_loop, split_prefill
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

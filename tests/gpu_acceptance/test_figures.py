"""Figures of the acceptance from readings and records whose true values are known."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

import pytest
from benchmarks import gpu_energy
from benchmarks.gpu.probes import counter_lag, nvml_calls, sampler_cost, window_lengths
from benchmarks.gpu.probes.counter_lag import Reading
from benchmarks.gpu.scale import BOARD

IDLE_W, BUSY_W, TICK_S, POLL_S = 70.0, 600.0, 0.1, 0.001


BUSY_S = [(103.0, 105.5), (107.5, 110.0)]


END_S = 116.0


def watts(time_s: float, decay_s: float = 0.0) -> float:
    for begin_s, end_s in BUSY_S:
        if begin_s <= time_s < end_s:
            return BUSY_W
        if end_s <= time_s < end_s + decay_s:
            return 1.5 * IDLE_W
    return IDLE_W


def readings(lag_s: float, *, tick_s: float = TICK_S, decay_s: float = 0.0) -> list[Reading]:
    """Polls of a counter that shows at each tick what was drawn until `lag_s` before it."""
    fine_s, joules, drawn = 1e-3, {}, 0.0
    for step in range(int((END_S - 99.0) / fine_s) + 1):
        joules[step] = drawn
        drawn += watts(99.0 + step * fine_s, decay_s) * fine_s
    polls, time_s, jitter = [], 101.0, random.Random(0)
    while time_s < END_S:
        tick = int((time_s - 100.0) / tick_s) * tick_s + 100.0
        shown = joules[round((tick - lag_s - 99.0) / fine_s)]
        polls.append(Reading(time_s, 1e6 + shown, watts(time_s, decay_s)))
        time_s += POLL_S * jitter.uniform(0.5, 1.5)
    return polls


@pytest.mark.parametrize("lag_s", [0.0, 0.02, 0.05, 0.1, 0.25])
@pytest.mark.parametrize("tick_s", [0.02, 0.1])
def test_the_lag_of_a_counter_is_found(lag_s: float, tick_s: float) -> None:
    lags = counter_lag.lags(readings(lag_s, tick_s=tick_s), BUSY_S)
    assert [*lags["lag_up_s"], *lags["lag_down_s"]] == pytest.approx([lag_s] * 4, abs=0.004)
    assert lags["largest_lag_s"] == pytest.approx(lag_s, abs=0.004)
    assert lags["lag_of_power_s"] == pytest.approx([0.0] * 4, abs=0.004)
    assert (lags["idle_w"], lags["busy_w"]) == pytest.approx((IDLE_W, BUSY_W), rel=0.01)
    assert (lags["idle_by_power_w"], lags["busy_by_power_w"]) == (IDLE_W, BUSY_W)


def test_a_load_that_does_not_show_is_not_a_lag_of_zero() -> None:
    flat = [Reading(item.time_s, 1e6 + 100 * round(item.time_s, 1), 100.0) for item in readings(0.0)]
    with pytest.raises(ValueError, match="the load does not show"):
        counter_lag.lags(flat, BUSY_S)


def test_the_time_until_idle_power_has_settled_is_found() -> None:
    ended_s = BUSY_S[-1][1]
    assert counter_lag.settling(readings(0.0, decay_s=2.0), ended_s)["settle_s"] == pytest.approx(2.0, abs=0.26)
    assert counter_lag.settling(readings(0.0), ended_s)["settle_s"] <= 0.26


def windows_of(drawn_j: Callable[[float], float], off_s: float) -> list[dict[str, float]]:
    """Windows of the board's lengths over a board that has drawn so much at a time; each is too long by `off_s`."""
    rows, begin_s = [], 100.0
    for length_s in BOARD.lengths_s:
        joules = drawn_j(begin_s + length_s) - drawn_j(begin_s) + 300.0 * off_s
        rows.append({"begin_s": begin_s, "seconds": length_s, "joules": joules})
        begin_s += length_s + 1.2
    return rows


@pytest.mark.parametrize("warms_s", [2.0, 5.0, 10.0, 20.0, 40.0])
def test_a_board_that_warms_shows_no_intercept(warms_s: float) -> None:
    def drawn_j(time_s: float) -> float:
        """5 % more in the end than when the warm-up began, 4 s before the first window, with this time constant."""
        return 300.0 * (time_s + 0.05 * warms_s * math.exp(-(time_s - 96.0) / warms_s))

    assert abs(window_lengths.fit_line(windows_of(drawn_j, 0.0))["intercept_s"]) < 0.001
    assert window_lengths.fit_line(windows_of(drawn_j, 0.03))["intercept_s"] == pytest.approx(0.03, abs=0.001)


def test_the_windows_of_a_board_are_mostly_short_and_last_22_s_in_all() -> None:
    many = {length_s: BOARD.lengths_s.count(length_s) for length_s in BOARD.lengths_s}
    assert many == {1.0: 6, 2.0: 2, 4.0: 3} and sum(BOARD.lengths_s) == 22.0


def test_work_at_the_power_limit_is_shown_by_the_worst_window_and_its_share_of_the_limit() -> None:
    rows = [{"power_limited": 0.0}, {"power_limited": 0.25}, {"power_limited": None}]
    assert window_lengths.at_limit(rows, 420.0, 700.0) == {"share_of_limit": 0.6, "power_limited": 0.25}
    assert window_lengths.at_limit(rows[2:], 420.0, None) == {"share_of_limit": None, "power_limited": None}


def test_the_standard_error_of_a_median_is_that_of_normal_values() -> None:
    assert sampler_cost.standard_error([1.0, 1.2, 1.1, 1.3]) == pytest.approx(0.0809, abs=1e-4)
    assert sampler_cost.standard_error([1.0]) is None


def test_long_steps_are_counted_in_windows_and_outside() -> None:
    steps = sampler_cost.describe_steps([0.01] * 6 + [0.0131, 0.05], [0.01] * 7 + [0.0129])
    assert (steps["long_steps_inside"], steps["long_steps_outside"]) == (0.25, 0.0)
    steps = sampler_cost.describe_steps([0.011] * 4, [0.01] * 8)
    assert (steps["step_inside_s"], steps["step_outside_s"]) == (0.011, 0.01)


def test_a_ramp_of_the_board_is_in_both_lags_and_not_beyond_the_power() -> None:
    ramp = [Reading(reading.time_s + 0.1, reading.counter_j, reading.power_w) for reading in readings(0.0)]
    lags = counter_lag.lags(ramp, BUSY_S)
    assert lags["largest_lag_s"] == pytest.approx(0.1, abs=0.005)
    assert abs(lags["largest_lag_beyond_power_s"]) < 0.006
    late = counter_lag.lags(readings(0.1), BUSY_S)
    assert late["largest_lag_beyond_power_s"] == pytest.approx(0.1, abs=0.005)


def test_the_intercept_is_the_time_by_which_windows_are_off() -> None:
    rows = windows_of(lambda time_s: 300.0 * time_s, 0.05)
    line = window_lengths.fit_line(rows)
    assert (line["watts"], line["intercept_s"], line["intercept_j"]) == pytest.approx((300.0, 0.05, 15.0), abs=1e-4)
    assert line["drift_w_per_s"] == pytest.approx(0.0, abs=1e-4)
    assert line["intercept_standard_error_s"] == pytest.approx(0.0, abs=1e-5)
    assert line["watts_by_length"]["1.0"] == pytest.approx(315.0)
    rows[2]["joules"] += 6.0
    assert window_lengths.fit_line(rows)["intercept_standard_error_s"] > 0.003


def test_gaps_between_ticks_have_a_median_and_a_spread() -> None:
    assert nvml_calls.gaps([0.0, 0.1, 0.2, 0.3, 0.41]) == {"steps": 5, "median_ms": 100.0, "spread": 0.05}
    assert nvml_calls.gaps([1.0])["median_ms"] is None


def test_the_benchmark_of_energy_prints_watts_per_length_and_the_intercept(capsys: pytest.CaptureFixture[str]) -> None:
    steady = [[(length, 300.0 * length)] * 3 for length in gpu_energy.LENGTHS_S]
    late = [[(length, 300.0 * (length - 0.1) + wobble) for wobble in (-1, 0, 1)] for length in gpu_energy.LENGTHS_S]
    assert gpu_energy.print_table({"ours": steady, "naive": late})
    assert not gpu_energy.print_table({"ours": late, "naive": steady})
    ours, naive = capsys.readouterr().out.splitlines()[1:3]
    assert "1 s: 300.00 W (0.000%)" in ours and "10 s: 300.00 W" in ours and "+0.0000 ± 0.0000 s" in ours
    assert "1 s: 270.00 W" in naive and "-30.000 J = -0.1000" in naive

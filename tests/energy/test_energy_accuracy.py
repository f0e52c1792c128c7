"""A small version of the benchmark of the same name: random traces, real meter, virtual clock."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path

import pytest
from energy.accuracy import Row, measure_all
from energy.power_traces import HISTORY_S, draw_trace

TRACES = range(300, 324)  # others than the benchmark's


@pytest.fixture(scope="module")
def rows(driver_folders: dict[str, Path]) -> list[Row]:
    return measure_all(driver_folders["full"], TRACES, (0.02, 0.1), naive=True)


@pytest.fixture(scope="module")
def slow(driver_folders: dict[str, Path]) -> list[Row]:
    return measure_all(driver_folders["full"], TRACES, (0.02, 0.1), ["counter"], latency_s=0.005, lag_s=0.1)


def of(rows: Sequence[Row], way: str) -> list[Row]:
    return [row for row in rows if row.way == way]


def errors(rows: Sequence[Row], name: str = "energy_j") -> list[float]:
    """Relative errors without the gain of the board's sensor."""
    return [abs(getattr(row, name) / row.gain / row.truth_j - 1) for row in rows]


def test_the_counter_is_right_to_half_a_percent(rows: list[Row], slow: list[Row]) -> None:
    for deviations in (errors(of(rows, "counter")), errors(slow)):
        right_to_half_a_percent(deviations)


def right_to_half_a_percent(deviations: list[float]) -> None:
    assert statistics.median(deviations) <= 0.005
    assert statistics.quantiles(deviations, n=20)[-1] <= 0.015  # of 48 windows; the benchmark holds 400 against 1 %


def test_the_intervals_cover_the_true_value(rows: list[Row], slow: list[Row]) -> None:
    """95 % each: of 48 windows at most 7 may miss, by binomial chance once in 100 such tests."""
    for counter in (of(rows, "counter"), slow):
        intervals_cover_the_truth(counter)


def intervals_cover_the_truth(counter: list[Row]) -> None:
    assert sum(abs(row.energy_j - row.truth_j) > row.expanded_j for row in counter) <= 7
    assert sum(abs(row.energy_j / row.gain - row.truth_j) > row.expanded_without_gain_j for row in counter) <= 7
    # Not by being wide: without the gain it is far below the gain's 5 %.
    assert statistics.median(row.expanded_without_gain_j / row.truth_j for row in counter) < 0.012


def test_it_beats_polling_and_plain_differences(rows: list[Row]) -> None:
    counter = of(rows, "counter")
    ours = statistics.fmean(errors(counter))
    assert statistics.fmean(errors(counter, "polled_j")) > 3 * ours
    assert statistics.fmean(errors(counter, "differenced_j")) > ours


@pytest.mark.parametrize("way", ["average", "instant"])
def test_boards_without_a_counter_come_close(rows: list[Row], way: str) -> None:
    windows = of(rows, way)
    assert statistics.median(errors(windows)) < 0.005
    assert statistics.fmean(errors(windows)) < statistics.fmean(errors(of(rows, "counter"), "polled_j")) / 2
    assert sum(abs(row.energy_j - row.truth_j) > row.expanded_j for row in windows) <= 7


@pytest.mark.parametrize(("latency_s", "lag_s"), [(0.0, 0.0), (0.005, 0.05), (0.0, 0.1)])
@pytest.mark.slow
def test_windows_without_work_around_them_say_what_a_lag_may_do(
    driver_folders: dict[str, Path], latency_s: float, lag_s: float
) -> None:
    """Power steps at their edges: the interval is wider, and covers the truth."""
    windows = measure_all(
        driver_folders["full"], TRACES, (0.02, 0.1), ["counter"], around=False, latency_s=latency_s, lag_s=lag_s
    )
    assert sum(abs(row.energy_j / row.gain - row.truth_j) > row.expanded_without_gain_j for row in windows) <= 7


def test_a_lag_leaves_no_bias_where_the_same_work_runs_around_the_window(driver_folders: dict[str, Path]) -> None:
    windows = measure_all(
        driver_folders["full"], TRACES, [0.02], ["counter"], duty=1.0, noise=0.0, duration_s=10.0, lag_s=0.1
    )
    assert abs(statistics.fmean(row.energy_j / row.gain / row.truth_j - 1 for row in windows)) < 0.001


def test_pieces_add_up_and_checks_agree(rows: list[Row]) -> None:
    for row in rows:
        assert row.findings == []
        if row.way == "average":
            assert row.pieces_j == 0  # a one-second average does not resolve the pieces
        else:
            assert row.pieces_j == pytest.approx(row.energy_j)
        if row.way == "counter":
            assert row.cross_check is not None and row.cross_check["agrees"]
            assert row.cross_check["ratio"] == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("period_s", [0.02, 0.1])
def test_the_edges_alone_cost_a_thousandth(driver_folders: dict[str, Path], period_s: float) -> None:
    """With a sensor that misses nothing, what is left is the time between the edges and the ticks."""
    windows = measure_all(
        driver_folders["full"],
        range(300, 308),
        [period_s],
        ["counter"],
        duty=1.0,
        noise=0.0,
        duration_s=5.0,
        naive=True,
    )
    assert statistics.median(errors(windows)) < 0.001
    assert statistics.fmean(errors(windows)) < statistics.fmean(errors(windows, "differenced_j")) / 2


def test_irregular_ticks_do_not_give_false_confidence(driver_folders: dict[str, Path]) -> None:
    """Without a grid of ticks the noise comes from the power readings; edges alone would cover a third of windows."""
    windows = measure_all(
        driver_folders["full"],
        range(300, 308),
        (0.02, 0.1),
        ["counter"],
        jitter=0.15,
        fields="instant",
        duration_s=15.0,
    )
    assert statistics.median(errors(windows)) < 0.005
    missed = sum(abs(row.energy_j / row.gain - row.truth_j) > row.expanded_without_gain_j for row in windows)
    assert missed <= 3  # of 16, by binomial chance once in 100 such tests where 95 % hold
    assert statistics.median(row.expanded_without_gain_j / row.truth_j for row in windows) < 0.03


def test_where_the_sensor_looks_and_how_little_changes_nothing(driver_folders: dict[str, Path]) -> None:
    """The budget takes it that the first quarter of a period is seen; boards may do otherwise."""
    for sensor in ({"seen_at": 1.0}, {"duty": 0.1}, {"duty": 0.5, "seen_at": 0.5}):
        windows = measure_all(driver_folders["full"], range(300, 312), [0.1], ["counter"], duration_s=10.0, **sensor)
        assert statistics.median(errors(windows)) < 0.008
        missed = sum(abs(row.energy_j / row.gain - row.truth_j) > row.expanded_without_gain_j for row in windows)
        assert missed <= 3, sensor


def test_a_slow_or_odd_sampler_changes_little(driver_folders: dict[str, Path]) -> None:
    """Samples as far apart as the ticks, and further: the edges stay, only the scatter is seen less well."""
    for interval_s in (0.1, 0.5):
        windows = measure_all(driver_folders["full"], range(300, 306), [0.1], ["counter"], power_interval_s=interval_s)
        assert statistics.median(errors(windows)) < 0.008
        assert all(abs(row.energy_j - row.truth_j) <= 1.2 * row.expanded_j for row in windows)


def test_a_trace_knows_its_energy() -> None:
    trace = draw_trace(7, 5.0)
    times_s = [time_s for time_s, _ in trace.points]
    assert times_s == sorted(times_s) and times_s[0] == pytest.approx(-HISTORY_S)
    many = 20_000
    middle = sum(trace._at(5.0 * (i + 0.5) / many) for i in range(0, many, 50)) * 5.0 / (many / 50)
    assert trace.energy_j() == pytest.approx(middle, rel=0.02)

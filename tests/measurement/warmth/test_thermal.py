"""The same temperature for every run of a study, and what the distance from it adds to the budget."""

from __future__ import annotations

import math

import pytest

from llenergymeasure.config import WarmupConfig
from llenergymeasure.energy import LedgerEntry
from llenergymeasure.energy.ledger import Span
from llenergymeasure.energy.uncertainty import Component
from llenergymeasure.measurement.metrics.energy_metrics import Counts, energy_figures
from llenergymeasure.measurement.warmth.thermal import Aim, aim, bring_to, cool_down, power_doubt, thermal_record
from llenergymeasure.measurement.window_findings import off_target
from llenergymeasure.records.study.warmth import NO_TEMPERATURES, BoardTemperature, StudyTemperatures, Warmth

WARMUP = WarmupConfig(temperature_band_c=2.0, temperature_timeout_s=120.0)
BOARD = "GPU-a"


class Device:
    """One thermal mass: 40 °C idle, `hot_c` under load, 60 s, passes of 2 s, a sensor of whole degrees."""

    def __init__(self, temperature_c: float | None, hot_c: float = 77.0) -> None:
        self.temperature_c = temperature_c
        self.now_s = 0.0
        self._hot_c = hot_c

    def reading(self) -> tuple[float, float | None]:
        return self.now_s, None if self.temperature_c is None else float(round(self.temperature_c))

    def wait(self, seconds: float) -> None:
        self._go(40.0, seconds)

    def run_pass(self) -> None:
        self._go(self._hot_c, 2.0)

    def _go(self, rest_c: float, seconds: float) -> None:
        assert self.temperature_c is not None, "nobody can tell whether it helps"
        self.now_s += seconds
        self.temperature_c = rest_c + (self.temperature_c - rest_c) * math.exp(-seconds / 60)


def goal_at(goal_c: float, *, target_c: float | None = None, end_c: float = 77.0) -> Aim:
    return Aim(goal_c if target_c is None else target_c, goal_c, end_c, 0.4, 0.3)


def studied(hottest_c: float, coldest_c: float = 40.0, slope: float | None = 0.4) -> StudyTemperatures:
    board = BoardTemperature(
        hottest_c=hottest_c,
        experiment_id="e" * 12,
        coldest_c=coldest_c,
        power_per_c_w=slope,
        power_per_c_standard_w=None if slope is None else 0.1,
    )
    return StudyTemperatures(schema_version=NO_TEMPERATURES.schema_version, boards={BOARD: board})


def warmth(end_c: float, *, rested: bool = True) -> Warmth:
    return Warmth(start_c=40.0, boards_c={BOARD: end_c}, rested=rested)


def begun(device: Device, goal: Aim, warm_up_passes: int = 4) -> float:
    """How warm the device is when a window would begin."""
    cool_down(goal, WARMUP, device.reading, device.wait)
    for _ in range(warm_up_passes):
        device.run_pass()
    bring_to(goal, WARMUP, device.reading, device.run_pass, device.wait)
    assert device.temperature_c is not None
    return device.temperature_c


@pytest.mark.parametrize("start_c", [45.0, 60.0, 73.5, 74.4, 76.9])
def test_hot_or_cold_a_window_begins_at_the_goal(start_c: float) -> None:
    assert begun(Device(start_c), goal_at(74.0)) == pytest.approx(74.0, abs=1.0)


def test_a_pass_ends_the_pause_of_a_device_that_cooled() -> None:
    device = Device(76.9)
    window_c, passes, cooled_s = bring_to(goal_at(74.0), WARMUP, device.reading, device.run_pass, device.wait)
    assert cooled_s > 0 and passes >= 1 and window_c == pytest.approx(74, abs=1)


def test_a_goal_that_cannot_be_reached_ends_when_the_device_gets_no_warmer() -> None:
    device = Device(59.5, hot_c=60.0)
    window_c, _, _ = bring_to(goal_at(74.0), WARMUP, device.reading, device.run_pass, device.wait)
    assert window_c == 60.0
    assert 60 <= device.now_s <= 64


def test_waiting_ends_after_the_timeout() -> None:
    warmup = WarmupConfig(temperature_timeout_s=30.0)
    device = Device(77.0)
    _, seconds = cool_down(goal_at(50.0), warmup, device.reading, device.wait)
    assert seconds == pytest.approx(30.0)
    _, passes, _ = bring_to(goal_at(74.0), warmup, (cold := Device(40.0, hot_c=76.0)).reading, cold.run_pass, cold.wait)
    assert passes == 15


def test_a_device_that_is_no_cooler_idle_is_not_waited_for_until_the_timeout() -> None:
    device = Device(40.2)
    _, seconds = cool_down(goal_at(36.0), WARMUP, device.reading, device.wait)
    assert 60 <= seconds <= 61


def test_without_a_sensor_nothing_is_waited_for() -> None:
    device = Device(None)
    assert cool_down(None, WARMUP, device.reading, device.wait) == (None, 0.0)
    assert bring_to(None, WARMUP, device.reading, device.run_pass, device.wait) == (None, 0, 0.0)
    assert aim(None, NO_TEMPERATURES, [], WARMUP) is None
    record = thermal_record(None, WARMUP, start_c=None, cooled_s=0.0, extra_passes=0, window_c=None)
    assert record.within_band and record.target_c is None and power_doubt(record) is None
    assert off_target(record, WARMUP) == []


def test_identical_experiments_have_one_goal_however_their_own_warm_ups_ended() -> None:
    study = studied(76.8)
    goals = [aim(warmth(end_c), study, [BOARD], WARMUP) for end_c in (75.4, 76.0, 76.8)]
    assert [goal.goal_c for goal in goals if goal] == pytest.approx([74.8] * 3, abs=0.15)
    assert {goal.target_c for goal in goals if goal} == {74.8}


def test_an_experiment_that_rests_below_the_target_goes_to_where_it_rests() -> None:
    goal = aim(warmth(60.0), studied(77.0), [BOARD], WARMUP)
    assert goal is not None and (goal.target_c, goal.goal_c) == (75.0, 59.5)
    # Its warm-up did not come to rest: nobody knows how warm it gets.
    unrested = aim(warmth(60.0, rested=False), studied(77.0), [BOARD], WARMUP)
    assert unrested is not None and unrested.goal_c == 75.0


def test_a_board_that_hardly_warms_up_has_its_target_close_to_its_rest() -> None:
    """Two degrees below 33 °C may be colder than it ever is."""
    goal = aim(warmth(33.0), studied(33.0, coldest_c=32.0), [BOARD], WARMUP)
    assert goal is not None and goal.target_c == pytest.approx(33 - 1 / 16)


def test_a_board_without_a_calibration_gets_the_hottest_target() -> None:
    goal = aim(warmth(70.0), studied(77.0), ["GPU-b"], WARMUP)
    assert goal is not None and goal.target_c == 75.0
    own = aim(warmth(70.0), NO_TEMPERATURES, ["GPU-b"], WARMUP)
    assert own is not None and own.target_c == pytest.approx(70 - 30 / 16)


@pytest.mark.parametrize(
    ("window_c", "goal", "off_c", "within", "warns"),
    [
        # The band, though the window began closer: nobody knows where in it.
        (74.0, goal_at(75.0), 2.0, True, False),
        (72.0, goal_at(75.0), 3.0, False, False),
        # Rests at 60 °C, in a study whose runs begin at 75 °C.
        (60.0, goal_at(59.5, target_c=75.0, end_c=60.0), 15.0, True, True),
        # Hotter than any when the study began: rises from 75 towards 85 °C while it is measured.
        (75.0, goal_at(75.0, end_c=85.0), 10.0, True, True),
    ],
)
def test_how_far_a_window_may_be_from_the_target(
    window_c: float, goal: Aim, off_c: float, within: bool, warns: bool
) -> None:
    record = thermal_record(goal, WARMUP, start_c=70.0, cooled_s=0.0, extra_passes=0, window_c=window_c)
    assert (record.off_c, record.within_band, record.window_c) == (off_c, within, window_c)
    assert [one["code"] for one in off_target(record, WARMUP)] == ["temperature-off-target"] * warns
    doubt = power_doubt(record)
    # 0.4 ± 0.3 W per °C: 0.5 W of a rectangle of ± off_c.
    assert doubt is not None and doubt.standard_w == pytest.approx(0.5 * off_c / math.sqrt(3))
    assert f"{off_c:g} °C" in doubt.name


def test_the_temperature_is_in_the_budget_of_every_figure_of_a_measured_energy() -> None:
    record = thermal_record(goal_at(75.0), WARMUP, start_c=70.0, cooled_s=0.0, extra_passes=0, window_c=75.0)
    doubt = power_doubt(record)
    figures = energy_figures(entries("measured:nvml-total-energy"), Counts(10, 100, 10, 100, 5.0), None, "none", doubt)
    # 1 W·√(1/3) over 10 s, of 10 requests.
    (row,) = [row for row in figures.budget["energy_per_request_j"] if row["kind"] == "temperature"]
    assert row["standard_uncertainty"] == pytest.approx(0.5 * 2 / math.sqrt(3))
    assert row["distribution"] == "rectangular" and row["name"] == doubt.name  # type: ignore[union-attr]
    # Decode is the full window less the prefill one, which was as warm.
    (decode,) = [row for row in figures.budget["decode_energy_j"] if row["kind"] == "temperature"]
    assert decode["standard_uncertainty"] == pytest.approx(0.75 * row["standard_uncertainty"])
    estimated = energy_figures(entries("estimated:codecarbon"), Counts(10, 100, 10, 100, 5.0), None, "none", doubt)
    assert {row["kind"] for row in estimated.budget["energy_per_request_j"]} == {"gain"}


def entries(source: str) -> list[LedgerEntry]:
    gain = [Component("gain", 1.0, "gain", "rectangular")]
    full, prefill = Span("generate", 0.0, 10.0), Span("prefill", 11.0, 16.0)
    return [full.known(BOARD, "gpu", source, 4000.0, gain), prefill.known(BOARD, "gpu", source, 1000.0, gain)]

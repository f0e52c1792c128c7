"""The same temperature for every run: power depends on it, so a hot start would be charged to a setting."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from llenergymeasure.config import WarmupConfig
from llenergymeasure.energy.uncertainty import rectangular
from llenergymeasure.measurement.metrics.budget import PowerDoubt
from llenergymeasure.measurement.warmth.warming import Reading, is_thermally_flat
from llenergymeasure.records.measurement import ThermalRecord
from llenergymeasure.records.study.warmth import BoardTemperature, StudyTemperatures, Warmth

POLL_S = 0.5
# Sensors tell whole degrees: a reading this much off is the same temperature.
RESOLUTION_C = 0.5
# A board comes to rest ever more slowly. Runs begin this share of the rise below the hottest temperature, if that is
# less than the band: it is crossed after 2.8 time constants, where the temperature itself would never be.
SHARE_BELOW = 1 / 16

Wait = Callable[[float], None]


@dataclass(frozen=True)
class Aim:
    """How warm a run is to begin, in °C.

    target_c: the same for all experiments of the study on this board
    goal_c: the target; for an experiment that comes to rest below it, just below where it does
    end_c: where this experiment's own warm-up ended
    power_per_c_w, power_per_c_standard_w: more power per °C, of this experiment or of any on this board; None where no
        warm-up shows it
    """

    target_c: float
    goal_c: float
    end_c: float
    power_per_c_w: float | None
    power_per_c_standard_w: float | None


def aim(warmth: Warmth | None, study: StudyTemperatures, uuids: Iterable[str], warmup: WarmupConfig) -> Aim | None:
    """The aim of a run on these boards; None where its calibration knows no temperature."""
    if warmth is None:
        return None
    board = study.on(uuids) or BoardTemperature(hottest_c=warmth.end_c, experiment_id="", coldest_c=warmth.start_c)
    below_c = min(warmup.temperature_band_c, SHARE_BELOW * max(0.0, board.hottest_c - board.coldest_c))
    target_c = board.hottest_c - below_c
    own = warmth if warmth.power_per_c_w is not None else board
    return Aim(
        target_c=target_c,
        # An experiment that was not at rest may get warmer than its warm-up did.
        goal_c=min(target_c, warmth.end_c - below_c / 4) if warmth.rested else target_c,
        end_c=warmth.end_c,
        power_per_c_w=own.power_per_c_w,
        power_per_c_standard_w=own.power_per_c_standard_w,
    )


def cool_down(
    goal: Aim | None, warmup: WarmupConfig, reading: Reading, wait: Wait = time.sleep
) -> tuple[float | None, float]:
    """Wait until the device is no warmer than the goal, or cools no further, or the timeout.

    Returns the temperature it began with and the seconds it took.
    """
    begun_s, start_c = reading()
    now_s, now_c = begun_s, start_c
    temperatures: list[float | None] = []
    elapsed: list[float] = []
    while (
        goal is not None
        and now_c is not None
        and now_c > goal.goal_c + RESOLUTION_C
        and now_s - begun_s < warmup.temperature_timeout_s
        and not (temperatures and is_thermally_flat(temperatures, elapsed, warmup))
    ):
        wait(POLL_S)
        now_s, now_c = reading()
        temperatures.append(now_c)
        elapsed.append(now_s - begun_s)
    return start_c, now_s - begun_s


def bring_to(
    goal: Aim | None,
    warmup: WarmupConfig,
    reading: Reading,
    run_pass: Callable[[], object],
    wait: Wait = time.sleep,
) -> tuple[float | None, int, float]:
    """After the warm-up: come to the goal from below, by further passes.

    A device that is warmer cools first, and a pass ends the pause. Ends when the device is as warm as the goal, or gets
    no warmer, or after the timeout. Returns the temperature it ends with, the passes and the seconds of cooling.
    """
    _, cooled_s = cool_down(goal, warmup, reading, wait)
    begun_s, now_c = reading()
    temperatures: list[float | None] = []
    elapsed: list[float] = []
    resumes = cooled_s > 0
    while (
        goal is not None
        and now_c is not None
        and (resumes or now_c < goal.goal_c - RESOLUTION_C)
        and (not elapsed or elapsed[-1] < warmup.temperature_timeout_s)
        and not (temperatures and is_thermally_flat(temperatures, elapsed, warmup))
    ):
        run_pass()
        resumes = False
        now_s, now_c = reading()
        temperatures.append(now_c)
        elapsed.append(now_s - begun_s)
    return now_c, len(elapsed), cooled_s


def thermal_record(
    goal: Aim | None,
    warmup: WarmupConfig,
    *,
    start_c: float | None,
    cooled_s: float,
    extra_passes: int,
    window_c: float | None,
) -> ThermalRecord:
    """How the run came to its temperature, and how far that may be from the target."""
    begun = ThermalRecord(
        target_c=None if goal is None else goal.target_c,
        start_c=start_c,
        cooled_s=cooled_s,
        extra_passes=extra_passes,
        window_c=window_c,
        within_band=True,
    )
    if goal is None or window_c is None:
        return begun
    # An experiment that comes to rest above the target is on its way there while it is measured.
    off_c = max(warmup.temperature_band_c, abs(window_c - goal.target_c), goal.end_c - goal.target_c)
    return begun.model_copy(
        update={
            "within_band": abs(window_c - goal.goal_c) <= warmup.temperature_band_c,
            "goal_c": goal.goal_c,
            "end_c": goal.end_c,
            "off_c": off_c,
            "power_per_c_w": goal.power_per_c_w,
            "power_per_c_standard_w": goal.power_per_c_standard_w,
        }
    )


def power_doubt(thermal: ThermalRecord) -> PowerDoubt | None:
    """What the distance from the target makes of a power: a rectangle of ± `off_c` times the slope (GUM 4.3.7, 5.1.6).

    The slope is uncertain itself; it and the temperature are independent, so the product's variance is
    (slope² + u²(slope)) · u²(temperature), with the temperature's expectation at the target.
    None where the slope or the temperature is not known.
    """
    if thermal.off_c is None or thermal.power_per_c_w is None:
        return None
    slope_w = math.hypot(thermal.power_per_c_w, thermal.power_per_c_standard_w or 0.0)
    name = f"temperature within {thermal.off_c:.3g} °C of the study's, at {thermal.power_per_c_w:.3g} W per °C"
    return PowerDoubt(name, rectangular(2 * thermal.off_c) * slope_w)

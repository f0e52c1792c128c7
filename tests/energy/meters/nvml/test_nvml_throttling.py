"""What held a board's clocks down: the driver's counters, and the samples where there are none."""

from __future__ import annotations

import re

import pynvml
import pytest
from energy.simulated_gpus import Run, codes_and_severities, nvml, uuid

from llenergymeasure.energy.meters.nvml import power as nvml_power
from llenergymeasure.energy.meters.nvml import throttle as nvml_throttle

HELD_S = 0.4


@pytest.mark.parametrize(
    ("counter", "reason"),
    [
        ("throttled_thermal", "sw_thermal_slowdown"),
        ("throttled_hw_thermal", "hw_thermal_slowdown"),
        ("throttled_brake", "hw_power_brake_slowdown"),
        ("throttled_sync", "sync_boost"),
    ],
)
def test_the_drivers_counters_show_what_samples_miss(quick_gpu_machine: Run, counter: str, reason: str) -> None:
    """Held back for 0.4 of 0.8 s without one sample that shows it: sensors are read every half second."""
    answer = quick_gpu_machine(nvml({"seconds": 0.8, "control": f"0 {counter} {HELD_S * 1e3:.0f}\n"}))
    (window,) = answer["windows"]
    assert codes_and_severities(answer) == [("throttled", "suspect")]
    throttled = window["facts"][uuid(0)]["throttled"][reason]
    # A share of the time between the two looks, which includes the wait for a tick on either side.
    assert throttled["by"] == "counter"
    assert HELD_S / (window["left"] - window["entered"]) <= throttled["share"] + 1e-6
    assert throttled["share"] <= HELD_S / window["duration"] + 1e-6
    assert f"{reason} {throttled['share']:.0%} of the time (by its counter)" in window["findings"][0]["message"]


def test_a_power_cap_at_the_boards_own_limit_is_a_fact(quick_gpu_machine: Run) -> None:
    """L4, T4 and every board that is limited by power always work so."""
    answer = quick_gpu_machine(nvml({"seconds": 0.8, "control": "0 throttle 4\n0 throttled_power 790\n"}))
    assert codes_and_severities(answer) == []
    (window,) = answer["windows"]
    share = window["facts"][uuid(0)]["throttled"]["sw_power_cap"]["share"]
    assert share >= 0.79 / (window["left"] - window["entered"]) - 1e-6


def test_a_power_cap_at_a_lowered_limit_is_a_warning(quick_gpu_machine: Run) -> None:
    answer = quick_gpu_machine(
        nvml({"seconds": 0.8, "control": "0 limit_w 250\n0 throttled_power 700\n"}), control_text="0 limit_w 250\n"
    )
    assert codes_and_severities(answer) == [("power-limit-lowered", "warning")]
    assert ": 250 W, the board's default is 400 W" in answer["windows"][0]["findings"][0]["message"]
    unused = quick_gpu_machine(nvml({"seconds": 0.8}), control_text="0 limit_w 250\n")
    assert codes_and_severities(unused) == []


@pytest.mark.parametrize("counters", ["0 reason_counters 3\n", ""])
def test_samples_count_where_the_counters_do_not(quick_gpu_machine: Run, counters: str) -> None:
    """A driver without them; and one in which the same field is something else, that stands still."""
    answer = quick_gpu_machine(nvml({"seconds": 3.0, "control": counters + "0 throttle 32\n"}), control_text=counters)
    assert codes_and_severities(answer) == [("throttled", "suspect")]
    throttled = answer["windows"][0]["facts"][uuid(0)]["throttled"]["sw_thermal_slowdown"]
    assert throttled["by"].startswith("samples") and 0.2 < throttled["share"] < 0.8
    assert "by samples" in answer["windows"][0]["findings"][0]["message"]


def test_a_counter_in_another_unit_is_not_believed(quick_gpu_machine: Run) -> None:
    """Every sample of the second half shows heat; 1.5 s of it, counted in microseconds, read as 1.5 us."""
    answer = quick_gpu_machine(nvml({"seconds": 3.0, "control": "0 throttle 32\n0 throttled_thermal 2\n"}))
    assert codes_and_severities(answer) == [("throttled", "suspect")]
    throttled = answer["windows"][0]["facts"][uuid(0)]["throttled"]["sw_thermal_slowdown"]
    assert 0.3 < throttled["share"] < 0.7
    assert re.fullmatch(r"samples, not by its counter, which gained 0\.002 s in \S+ s", throttled["by"])
    assert f"(by {throttled['by']})" in answer["windows"][0]["findings"][0]["message"]


def test_a_counter_whose_reason_no_sample_shows_is_not_believed(quick_gpu_machine: Run) -> None:
    """Held down for 9 of 10 s, and 20 looks at the board saw nothing of it: another field."""
    answer = quick_gpu_machine(nvml({"seconds": 10.0, "control": "0 throttled_brake 9000\n"}))
    assert codes_and_severities(answer) == []
    throttled = answer["windows"][0]["facts"][uuid(0)]["throttled"]["hw_power_brake_slowdown"]
    assert throttled["share"] == 0 and throttled["by"].startswith("samples, not by its counter, which gained 9 s")


def test_a_counter_that_agrees_with_the_samples_is_believed(quick_gpu_machine: Run) -> None:
    answer = quick_gpu_machine(nvml({"seconds": 10.0, "control": "0 throttle 32\n0 throttled_thermal 5000\n"}))
    throttled = answer["windows"][0]["facts"][uuid(0)]["throttled"]["sw_thermal_slowdown"]
    assert throttled["by"] == "counter" and throttled["share"] == pytest.approx(0.5, abs=0.03)


def test_the_numbers_of_reasons_and_fields_are_those_of_the_binding() -> None:
    reasons = {
        "sw_power_cap": pynvml.nvmlClocksEventReasonSwPowerCap,
        "hw_slowdown": pynvml.nvmlClocksEventReasonHwSlowdown,
        "sync_boost": pynvml.nvmlClocksEventReasonSyncBoost,
        "sw_thermal_slowdown": pynvml.nvmlClocksEventReasonSwThermalSlowdown,
        "hw_thermal_slowdown": pynvml.nvmlClocksEventReasonHwThermalSlowdown,
        "hw_power_brake_slowdown": pynvml.nvmlClocksEventReasonHwPowerBrakeSlowdown,
    }
    assert reasons == nvml_throttle.REASON_BITS
    fields = {
        "sw_power_cap": pynvml.NVML_FI_DEV_CLOCKS_EVENT_REASON_SW_POWER_CAP,
        "sync_boost": pynvml.NVML_FI_DEV_CLOCKS_EVENT_REASON_SYNC_BOOST,
        "sw_thermal_slowdown": pynvml.NVML_FI_DEV_PERF_POLICY_THERMAL,
        "hw_thermal_slowdown": pynvml.NVML_FI_DEV_CLOCKS_EVENT_REASON_HW_THERM_SLOWDOWN,
        "hw_power_brake_slowdown": pynvml.NVML_FI_DEV_CLOCKS_EVENT_REASON_HW_POWER_BRAKE_SLOWDOWN,
    }
    assert fields == nvml_throttle.COUNTER_FIELDS
    assert (nvml_power.INSTANT, nvml_power.AVERAGE) == (
        pynvml.NVML_FI_DEV_POWER_INSTANT,
        pynvml.NVML_FI_DEV_POWER_AVERAGE,
    )
    assert (nvml_power.GPU_SCOPE, nvml_power.MODULE_SCOPE) == (
        pynvml.NVML_POWER_SCOPE_GPU,
        pynvml.NVML_POWER_SCOPE_MODULE,
    )


def test_an_older_binding_measures_with_what_it_has(quick_gpu_machine: Run) -> None:
    answer = quick_gpu_machine(nvml({"seconds": 0.8, "control": "0 throttle 8\n"}), OLDER_BINDING="yes")
    assert codes_and_severities(answer) == [("throttled", "suspect")]
    facts = answer["windows"][0]["facts"][uuid(0)]
    assert facts["temperature_max_c"] == 61
    not_told = answer["describe"]["devices"][0]["board"]["not_told"]
    assert "nvmlDeviceGetApplicationsClock" in not_told["application_sm_clock_mhz"]
    assert "nvmlDeviceGetTotalEccErrors" in facts["missing_sensors"]["uncorrected_ecc_errors"]


def test_a_moment_of_heat_is_none(quick_gpu_machine: Run) -> None:
    answer = quick_gpu_machine(nvml({"seconds": 2.0, "control": "0 throttled_thermal 5\n"}))
    assert codes_and_severities(answer) == []
    assert answer["windows"][0]["facts"][uuid(0)]["throttled"]["sw_thermal_slowdown"]["share"] > 0

"""What breaks leaves a reason, a finding or a warning, never a zero, and the next window works."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from energy.simulated_gpus import Run, nvml, uuid, warning_codes

GONE = "0 energy 15\n0 power 15\n0 temperature 15\n0 clock 15\n0 reasons 15\n0 fields 15\n"


def found(window: dict[str, Any]) -> list[tuple[str, str]]:
    return [(finding["code"], finding["severity"]) for finding in window["findings"]]


def works(window: dict[str, Any], findings: Sequence[tuple[str, str]] = ()) -> None:
    (entry,) = window["entries"]
    assert entry["energy_j"] == pytest.approx(200 * window["duration"], rel=0.05)
    assert found(window) == list(findings)


@pytest.mark.parametrize("no_counter", ["0", "1"])
def test_a_lost_device_is_invalid_until_it_is_back(quick_gpu_machine: Run, no_counter: str) -> None:
    answer = quick_gpu_machine(
        nvml({"seconds": 0.5, "control": GONE}, {"seconds": 0.5, "control": ""}, {"seconds": 0.5}),
        no_counter=no_counter,
    )
    for window in answer["windows"][:2]:
        (entry,) = window["entries"]
        assert entry["energy_j"] is None and "GPU is lost" in entry["reason"]
        assert ("device-lost", "invalid") in found(window)
    works(answer["windows"][2])


def test_a_counter_that_fails_at_the_end_has_a_reason(quick_gpu_machine: Run) -> None:
    answer = quick_gpu_machine(
        nvml({"seconds": 0.4, "control": "0 energy 999\n"}, {"seconds": 0.1, "control": ""}, {"seconds": 0.4})
    )
    (entry,) = answer["windows"][0]["entries"]
    assert entry["energy_j"] is None and "failed at the end of the window: Unknown Error" in entry["reason"]
    (entry,) = answer["windows"][1]["entries"]
    assert entry["energy_j"] is None and "failed at the start" in entry["reason"]
    works(answer["windows"][2])


def test_a_counter_that_starts_again_gives_no_energy(quick_gpu_machine: Run) -> None:
    answer = quick_gpu_machine(nvml({"seconds": 0.6, "control": "0 reset 1\n"}, {"seconds": 0.6}))
    (entry,) = answer["windows"][0]["entries"]
    assert entry["energy_j"] is None and "backwards" in entry["reason"]
    works(answer["windows"][1])


def test_a_counter_that_jumps_is_caught_by_the_power(quick_gpu_machine: Run) -> None:
    """Not backwards, hence no fault of its own: 900 J in a window of 600 J."""
    answer = quick_gpu_machine(nvml({"seconds": 3.2, "control": "0 offset 900000\n"}), no_counter="0")
    (window,) = answer["windows"]
    (entry,) = window["entries"]
    assert found(window) == [("counter-disagrees-with-power", "suspect")]
    check = entry["cross_check"]
    assert check["source"] == "measured:nvml-power"
    assert check["energy_j"] == pytest.approx(200 * window["duration"], rel=0.03)
    assert check["ratio"] == pytest.approx(entry["energy_j"] / check["energy_j"])
    assert check["agrees"] is False and check["ratio"] > 1 + check["threshold"] >= 1.05


def test_no_permission_for_the_counter_means_power(quick_gpu_machine: Run) -> None:
    answer = quick_gpu_machine(nvml({"seconds": 0.5}), control_text="0 energy 4\n")
    (entry,) = answer["windows"][0]["entries"]
    assert entry["source"] == "measured:nvml-power" and entry["energy_j"] > 0
    assert "Insufficient Permissions" in next(
        w["message"] for w in answer["warnings"] if w["code"] == "nvml-counter-missing"
    )


def test_no_permission_at_all_is_a_reason(quick_gpu_machine: Run) -> None:
    answer = quick_gpu_machine(nvml({"seconds": 0.1}), control_text="0 energy 4\n0 power 4\n")
    assert "Insufficient Permissions" in answer["unavailable"]


def test_missing_sensors_are_facts_and_no_obstacle(quick_gpu_machine: Run) -> None:
    answer = quick_gpu_machine(nvml({"seconds": 0.5}), driver="bare")
    (window,) = answer["windows"]
    works(window)
    facts = window["facts"][uuid(0)]
    assert {
        "temperature",
        "sm_clock",
        "memory_clock",
        "throttle_reasons",
        "processes",
        "uncorrected_ecc_errors",
    } <= set(facts["missing_sensors"])
    assert facts["temperature_max_c"] is None and facts["uncorrected_ecc_errors"] is None
    assert all(row["temperature_c"] is None and row["throttle_reasons"] is None for row in window["trace"])
    assert all(row["power_w"] == pytest.approx(200) for row in window["trace"])
    assert answer["temperatures"] == {}
    assert warning_codes(answer) == ["nvml-sensor-missing"]


@pytest.mark.parametrize("step_s", [-3600.0, 3600.0])
def test_a_step_of_the_wall_clock_changes_nothing(gpu_machine: Run, step_s: float) -> None:
    answer = gpu_machine(nvml({"seconds": 0.6, "wall_clock_step_s": step_s}))
    (window,) = answer["windows"]
    works(window)
    assert 0.6 <= window["duration"] < 0.8
    assert all(window["start"] - 0.01 <= row["monotonic_s"] <= window["end"] for row in window["trace"])


def test_a_sampler_that_dies_costs_the_trace_and_not_the_energy(quick_gpu_machine: Run) -> None:
    answer = quick_gpu_machine(nvml({"seconds": 0.8, "break_sampler": True}, {"seconds": 0.5}))
    first, second = answer["windows"]
    works(first, [("trace-incomplete", "suspect")])
    assert warning_codes(answer) == ["power-sampler-died"]
    assert max(row["monotonic_s"] for row in first["trace"]) < first["start"] + 0.6
    works(second)
    assert max(row["monotonic_s"] for row in second["trace"]) > second["end"] - 0.2


def test_a_sampler_that_dies_without_a_counter_leaves_no_energy(quick_gpu_machine: Run) -> None:
    answer = quick_gpu_machine(
        nvml({"seconds": 2.4, "break_sampler": True}, {"seconds": 0.5}), no_counter="1", architecture="5"
    )
    (entry,) = answer["windows"][0]["entries"]
    assert entry["energy_j"] is None and "gap" in entry["reason"]
    works(answer["windows"][1])


def test_a_sampler_that_dies_before_power_changes_does_not_carry_the_old_power_on(quick_gpu_machine: Run) -> None:
    """It dies at 200 W halfway; the counter then jumps by 900 J, which the reading at the end still holds."""
    answer = quick_gpu_machine(nvml({"seconds": 4.0, "break_sampler": True, "control": "0 offset 900000\n"}))
    (entry,) = answer["windows"][0]["entries"]
    assert entry["energy_j"] == pytest.approx(800 + 900, rel=0.05)

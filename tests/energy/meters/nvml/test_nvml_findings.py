"""What is seen beside the energy: findings that make a window doubtful, and facts."""

from __future__ import annotations

import pytest
from energy.simulated_gpus import COUNTED, NOT_LISTED, Run, codes_and_severities, nvml, uuid


def test_a_quiet_window_has_facts_and_no_findings(quick_gpu_machine: Run) -> None:
    answer = quick_gpu_machine(nvml({"seconds": 0.5}))
    assert codes_and_severities(answer) == []
    facts = answer["windows"][0]["facts"][uuid(0)]
    assert facts.pop("samples") == len(answer["windows"][0]["trace"])
    assert facts == {
        "temperature_first_c": 61,
        "temperature_last_c": 61,
        "temperature_max_c": 61,
        "sm_clock_min_mhz": 1410,
        "sm_clock_median_mhz": 1410,
        "memory_clock_min_mhz": 1593,
        "memory_clock_median_mhz": 1593,
        "power_reading": "power usage",
        "power_limit_w": 400.0,
        "power_limit_default_w": 400.0,
        "throttled": {reason: {"share": 0.0, "by": "counter"} for reason in COUNTED}
        | {"hw_slowdown": {"share": 0.0, "by": "samples"}},
        "persistence_mode": True,
        "corrected_ecc_errors": 0,
        "uncorrected_ecc_errors": 0,
        "processes_told": True,
        "other_processes": [],
        "hidden_processes": 0,
        "process_memory_bytes": None,
        "process_memory_reason": NOT_LISTED,
        "memory_used_bytes": 20 << 30,
        "missing_sensors": {},
    }
    assert answer["temperatures"] == {uuid(0): 61.0}


@pytest.mark.parametrize(
    ("order", "finding"),
    [
        ("0 throttle 8\n", ("throttled", "suspect")),
        ("0 mhz 1300\n", ("clock-fell", "suspect")),
        ("0 ecc_count 1\n", ("ecc-errors", "invalid")),
    ],
)
def test_what_happens_in_a_window_is_found(quick_gpu_machine: Run, order: str, finding: tuple[str, str]) -> None:
    answer = quick_gpu_machine(nvml({"seconds": 0.8, "control": order}))
    assert codes_and_severities(answer) == [finding]


@pytest.mark.parametrize("order", ["0 mhz 1380\n", "0 throttle 1\n"])
def test_small_changes_are_none(quick_gpu_machine: Run, order: str) -> None:
    """Two percent of clock; the reason "idle"."""
    assert codes_and_severities(quick_gpu_machine(nvml({"seconds": 0.8, "control": order}))) == []


@pytest.mark.parametrize("missing", ["temperature_v 13", "temperature_old 3"])
def test_the_temperature_has_two_names(quick_gpu_machine: Run, missing: str) -> None:
    """Drivers before 570 lack the newer one, those to come the older one."""
    answer = quick_gpu_machine(nvml({"seconds": 0.2}), control_text=f"0 {missing}\n")
    assert answer["temperatures"] == {uuid(0): 61.0}
    assert answer["warnings"] == []


@pytest.mark.parametrize(
    ("board", "family", "source"),
    [
        ("NVIDIA H200", "H200", "taken from the H100"),
        ("NVIDIA H800 PCIe", "H800", "taken from the H100"),
        ("NVIDIA A800-SXM4-80GB", "A800", "taken from the A100"),
        ("NVIDIA A30", "A30", "taken from the A100"),
        ("NVIDIA H100 80GB HBM3", "H100", "Yang"),
        ("NVIDIA L4", "unknown", "nobody published"),
    ],
)
def test_boards_of_one_die_have_one_sensor(quick_gpu_machine: Run, board: str, family: str, source: str) -> None:
    device = quick_gpu_machine(nvml(), names=board)["describe"]["devices"][0]
    assert device["family"] == family
    assert device["sensor_source"].startswith(source)
    if family != "unknown":
        assert device["sensor_seen_share"] == 0.25


@pytest.mark.parametrize(
    ("settings", "power", "averaging_s"),
    [
        ({"fields": "instant+average"}, "instant field, GPU scope", 0.0),
        ({"fields": "average"}, "average field, GPU scope", 1.0),
        ({"names": "NVIDIA A100-SXM4-80GB"}, "power usage", 0.0),
        ({"names": "NVIDIA L40S"}, "power usage", 1.0),
        ({"names": "Tesla V100-SXM2-16GB", "architecture": "5"}, "power usage", 0.0),
    ],
)
def test_the_power_reading_is_chosen_and_named(
    quick_gpu_machine: Run, settings: dict[str, str], power: str, averaging_s: float
) -> None:
    device = quick_gpu_machine(nvml(), **settings)["describe"]["devices"][0]
    assert (device["power"], device["power_averaging_s"]) == (power, averaging_s)


@pytest.mark.parametrize(
    "settings", [{"names": "NVIDIA GH200 480GB", "fields": "instant"}, {"fields": "instant+module"}]
)
def test_the_counter_of_a_superchip_is_refused(quick_gpu_machine: Run, settings: dict[str, str]) -> None:
    answer = quick_gpu_machine(nvml({"seconds": 0.5}), **settings)
    (entry,) = answer["windows"][0]["entries"]
    assert entry["source"] == "measured:nvml-power" and "GPU scope" in entry["uncertainty_basis"]
    assert entry["energy_j"] == pytest.approx(200 * entry["duration_s"], rel=0.03)
    assert "superchip" in answer["describe"]["devices"][0]["counter"]
    assert [warning["code"] for warning in answer["warnings"]] == ["nvml-counter-refused"]


def test_a_module_that_draws_nothing_makes_no_superchip(quick_gpu_machine: Run) -> None:
    """Boards on which the call succeeds with 0 W."""
    answer = quick_gpu_machine(nvml({"seconds": 0.5}), fields="instant+module0")
    assert answer["describe"]["devices"][0]["superchip"] is False
    assert answer["windows"][0]["entries"][0]["source"] == "measured:nvml-total-energy"


def test_a_superchip_without_gpu_scope_is_not_a_meter(quick_gpu_machine: Run) -> None:
    answer = quick_gpu_machine(nvml({"seconds": 0.1}), names="NVIDIA GH200 480GB")
    assert "superchip" in answer["unavailable"]

"""What is seen beside the energy: findings that make a window doubtful, and facts."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from energy.simulated_gpus import Run, uuid


def nvml(*windows: dict[str, Any]) -> dict[str, Any]:
    return {"meters": ["nvml"], "windows": list(windows)}


def found(answer: dict[str, Any]) -> list[tuple[str, str]]:
    return [(each["code"], each["severity"]) for window in answer["windows"] for each in window["findings"]]


@pytest.fixture
def stranger() -> Iterator[int]:
    """A process that is not of our tree: its parent has ended."""
    quiet = "stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL"
    code = f"import subprocess; print(subprocess.Popen(['sleep', '600'], {quiet}).pid)"
    pid = int(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)
    deadline_s = time.monotonic() + 5
    while _parent(pid) == os.getpid() and time.monotonic() < deadline_s:
        time.sleep(0.01)
    yield pid
    os.kill(pid, 15)


def _parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def test_a_quiet_window_has_facts_and_no_findings(quick_gpu_machine: Run) -> None:
    answer = quick_gpu_machine(nvml({"seconds": 0.5}))
    assert found(answer) == []
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
        "persistence_mode": True,
        "corrected_ecc_errors": 0,
        "uncorrected_ecc_errors": 0,
        "hidden_processes": 0,
        "missing_sensors": {},
    }
    assert answer["temperatures"] == {uuid(0): 61.0}


@pytest.mark.parametrize(
    ("order", "finding"),
    [
        ("0 throttle 4\n", ("throttled", "suspect")),
        ("0 mhz 1300\n", ("clock-fell", "suspect")),
        ("0 ecc_count 1\n", ("ecc-errors", "invalid")),
    ],
)
def test_what_happens_in_a_window_is_found(quick_gpu_machine: Run, order: str, finding: tuple[str, str]) -> None:
    answer = quick_gpu_machine(nvml({"seconds": 0.8, "control": order}))
    assert found(answer) == [finding]


@pytest.mark.parametrize("order", ["0 mhz 1380\n", "0 throttle 1\n"])
def test_small_changes_are_none(quick_gpu_machine: Run, order: str) -> None:
    """Two percent of clock; the reason "idle"."""
    assert found(quick_gpu_machine(nvml({"seconds": 0.8, "control": order}))) == []


@pytest.mark.parametrize("kind", ["process", "graphic"])
def test_a_foreign_process_on_the_board_is_told(quick_gpu_machine: Run, stranger: int, kind: str) -> None:
    answer = quick_gpu_machine(nvml({"seconds": 0.2}), control_text=f"0 {kind} {stranger}\n")
    assert found(answer) == [("foreign-processes", "suspect")]
    assert str(stranger) in answer["windows"][0]["findings"][0]["message"]


def test_our_own_processes_are_not_foreign(quick_gpu_machine: Run) -> None:
    child = subprocess.Popen(["sleep", "600"])
    try:
        for pid in (os.getpid(), child.pid):
            assert found(quick_gpu_machine(nvml({"seconds": 0.2}), control_text=f"0 process {pid}\n")) == []
    finally:
        child.terminate()
        child.wait()


def test_a_process_of_another_namespace_is_counted_and_not_accused(quick_gpu_machine: Run) -> None:
    answer = quick_gpu_machine(nvml({"seconds": 0.2}), control_text="0 process 2000000000\n")
    assert found(answer) == []
    assert answer["windows"][0]["facts"][uuid(0)]["hidden_processes"] == 1


def test_a_driver_that_hides_processes_is_a_fact(quick_gpu_machine: Run) -> None:
    answer = quick_gpu_machine(nvml({"seconds": 0.2}), control_text="0 processes 4\n")
    assert found(answer) == []
    facts = answer["windows"][0]["facts"][uuid(0)]
    assert facts["missing_sensors"] == {"processes": "Insufficient Permissions"}
    assert facts["hidden_processes"] is None


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
    assert [warning["code"] for warning in answer["warnings"]] == ["nvml_counter_refused"]


def test_a_superchip_without_gpu_scope_is_no_meter(quick_gpu_machine: Run) -> None:
    answer = quick_gpu_machine(nvml({"seconds": 0.1}), names="NVIDIA GH200 480GB")
    assert "superchip" in answer["unavailable"]

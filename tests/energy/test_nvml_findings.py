"""What is seen beside the energy: findings that make a window doubtful, and facts."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pynvml
import pytest
from energy.simulated_gpus import Run, uuid

from llenergymeasure.energy.meters.nvml import power as nvml_power
from llenergymeasure.energy.meters.nvml import throttle as nvml_throttle

COUNTED = ("sw_power_cap", "sync_boost", "sw_thermal_slowdown", "hw_thermal_slowdown", "hw_power_brake_slowdown")
LOADED = {"seconds": 0.2, "restrict": [uuid(0)]}
NOT_LISTED = "the driver lists no process of this experiment on the board (a container hides process ids)"


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
    assert found(answer) == [finding]


@pytest.mark.parametrize("order", ["0 mhz 1380\n", "0 throttle 1\n"])
def test_small_changes_are_none(quick_gpu_machine: Run, order: str) -> None:
    """Two percent of clock; the reason "idle"."""
    assert found(quick_gpu_machine(nvml({"seconds": 0.8, "control": order}))) == []


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
def test_the_drivers_counters_tell_what_samples_miss(quick_gpu_machine: Run, counter: str, reason: str) -> None:
    """Held back for 0.4 of 0.8 s without one sample that shows it: sensors are read every half second."""
    answer = quick_gpu_machine(nvml({"seconds": 0.8, "control": f"0 {counter} {HELD_S * 1e3:.0f}\n"}))
    (window,) = answer["windows"]
    assert found(answer) == [("throttled", "suspect")]
    told = window["facts"][uuid(0)]["throttled"][reason]
    # A share of the time between the two looks, which includes the wait for a tick on either side.
    assert told["by"] == "counter"
    assert HELD_S / (window["left"] - window["entered"]) <= told["share"] + 1e-6
    assert told["share"] <= HELD_S / window["duration"] + 1e-6
    assert f"{reason} {told['share']:.0%} of the time (by its counter)" in window["findings"][0]["message"]


def test_a_power_cap_at_the_boards_own_limit_is_a_fact(quick_gpu_machine: Run) -> None:
    """L4, T4 and every board that is limited by power always work so."""
    answer = quick_gpu_machine(nvml({"seconds": 0.8, "control": "0 throttle 4\n0 throttled_power 790\n"}))
    assert found(answer) == []
    (window,) = answer["windows"]
    share = window["facts"][uuid(0)]["throttled"]["sw_power_cap"]["share"]
    assert share >= 0.79 / (window["left"] - window["entered"]) - 1e-6


def test_a_power_cap_at_a_lowered_limit_is_suspect(quick_gpu_machine: Run) -> None:
    answer = quick_gpu_machine(
        nvml({"seconds": 0.8, "control": "0 limit_w 250\n0 throttled_power 700\n"}), control_text="0 limit_w 250\n"
    )
    assert found(answer) == [("throttled", "suspect")]
    assert "at 250 W, the board's default is 400 W" in answer["windows"][0]["findings"][0]["message"]
    unused = quick_gpu_machine(nvml({"seconds": 0.8}), control_text="0 limit_w 250\n")
    assert found(unused) == []


@pytest.mark.parametrize("counters", ["0 reason_counters 3\n", ""])
def test_samples_count_where_the_counters_do_not(quick_gpu_machine: Run, counters: str) -> None:
    """A driver without them; and one in which the same field is something else, that stands still."""
    answer = quick_gpu_machine(nvml({"seconds": 3.0, "control": counters + "0 throttle 32\n"}), control_text=counters)
    assert found(answer) == [("throttled", "suspect")]
    told = answer["windows"][0]["facts"][uuid(0)]["throttled"]["sw_thermal_slowdown"]
    assert told["by"].startswith("samples") and 0.2 < told["share"] < 0.8
    assert "by samples" in answer["windows"][0]["findings"][0]["message"]


def test_a_counter_in_another_unit_is_not_believed(quick_gpu_machine: Run) -> None:
    """Every sample of the second half shows heat; 1.5 s of it, counted in microseconds, read as 1.5 us."""
    answer = quick_gpu_machine(nvml({"seconds": 3.0, "control": "0 throttle 32\n0 throttled_thermal 2\n"}))
    assert found(answer) == [("throttled", "suspect")]
    told = answer["windows"][0]["facts"][uuid(0)]["throttled"]["sw_thermal_slowdown"]
    assert 0.3 < told["share"] < 0.7
    assert re.fullmatch(r"samples, not by its counter, which gained 0\.002 s in \S+ s", told["by"])
    assert f"(by {told['by']})" in answer["windows"][0]["findings"][0]["message"]


def test_a_counter_whose_reason_no_sample_shows_is_not_believed(quick_gpu_machine: Run) -> None:
    """Held down for 9 of 10 s, and 20 looks at the board saw nothing of it: another field."""
    answer = quick_gpu_machine(nvml({"seconds": 10.0, "control": "0 throttled_brake 9000\n"}))
    assert found(answer) == []
    told = answer["windows"][0]["facts"][uuid(0)]["throttled"]["hw_power_brake_slowdown"]
    assert told["share"] == 0 and told["by"].startswith("samples, not by its counter, which gained 9 s")


def test_a_counter_that_agrees_with_the_samples_is_believed(quick_gpu_machine: Run) -> None:
    answer = quick_gpu_machine(nvml({"seconds": 10.0, "control": "0 throttle 32\n0 throttled_thermal 5000\n"}))
    told = answer["windows"][0]["facts"][uuid(0)]["throttled"]["sw_thermal_slowdown"]
    assert told["by"] == "counter" and told["share"] == pytest.approx(0.5, abs=0.03)


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
    assert found(answer) == [("throttled", "suspect")]
    facts = answer["windows"][0]["facts"][uuid(0)]
    assert facts["temperature_max_c"] == 61
    not_told = answer["describe"]["devices"][0]["board"]["not_told"]
    assert "nvmlDeviceGetApplicationsClock" in not_told["application_sm_clock_mhz"]
    assert "nvmlDeviceGetTotalEccErrors" in facts["missing_sensors"]["uncorrected_ecc_errors"]


def test_a_moment_of_heat_is_none(quick_gpu_machine: Run) -> None:
    answer = quick_gpu_machine(nvml({"seconds": 2.0, "control": "0 throttled_thermal 5\n"}))
    assert found(answer) == []
    assert answer["windows"][0]["facts"][uuid(0)]["throttled"]["sw_thermal_slowdown"]["share"] > 0


@pytest.mark.parametrize("kind", ["process", "graphic"])
def test_a_foreign_process_that_uses_the_sms_is_told(quick_gpu_machine: Run, stranger: int, kind: str) -> None:
    control = f"0 {kind} {stranger}\n0 sm {stranger * 1000 + 40}\n"
    answer = quick_gpu_machine(nvml({"seconds": 0.2}), control_text=control)
    assert found(answer) == [("foreign-processes", "suspect")]
    assert f"{stranger} (40 %)" in answer["windows"][0]["findings"][0]["message"]


def test_a_process_that_came_and_went_in_the_window_is_told(quick_gpu_machine: Run, stranger: int) -> None:
    answer = quick_gpu_machine(nvml({"seconds": 0.2, "control": f"0 sm {stranger * 1000 + 40}\n"}))
    assert found(answer) == [("foreign-processes", "suspect")]


@pytest.mark.parametrize("kind", ["process", "graphic"])
@pytest.mark.parametrize("percent", [0, 2])
def test_a_process_that_leaves_the_sms_alone_is_a_fact(
    quick_gpu_machine: Run, stranger: int, kind: str, percent: int
) -> None:
    """The compositor of a desktop; somebody's notebook that holds memory and computes nothing."""
    control = f"0 {kind} {stranger}\n" + (f"0 sm {stranger * 1000 + percent}\n" if percent else "")
    answer = quick_gpu_machine(nvml({"seconds": 0.2}), control_text=control)
    assert found(answer) == []
    (other,) = answer["windows"][0]["facts"][uuid(0)]["other_processes"]
    assert other == {
        "pid": stranger,
        "compute": kind == "process",
        "sm_percent": float(percent),
        "memory_bytes": 1 << 20,
    }


def test_what_was_used_before_the_window_is_not_in_it(quick_gpu_machine: Run, stranger: int) -> None:
    process = f"0 process {stranger}\n"
    windows = [{"seconds": 0.2, "control": process}, {"seconds": 0.2}]
    answer = quick_gpu_machine(nvml(*windows), control_text=f"{process}0 sm {stranger * 1000 + 90}\n")
    assert found(answer) == []


@pytest.mark.parametrize(("kind", "findings"), [("process", [("foreign-processes", "suspect")]), ("graphic", [])])
def test_a_board_that_tells_no_use_leaves_those_that_could_compute(
    quick_gpu_machine: Run, stranger: int, kind: str, findings: list[tuple[str, str]]
) -> None:
    control = f"0 {kind} {stranger}\n0 utilization 3\n"
    assert found(quick_gpu_machine(nvml({"seconds": 0.2}), control_text=control)) == findings


def test_our_own_processes_are_not_foreign(quick_gpu_machine: Run) -> None:
    child = subprocess.Popen(["sleep", "600"])
    try:
        for pid in (os.getpid(), child.pid):
            control = f"0 process {pid}\n0 sm {pid * 1000 + 90}\n"
            assert found(quick_gpu_machine(nvml({"seconds": 0.2}), control_text=control)) == []
    finally:
        child.terminate()
        child.wait()


def test_what_our_processes_hold_on_the_board_is_told(quick_gpu_machine: Run, stranger: int) -> None:
    """The worker and a replica, each with its context; not the stranger."""
    child = subprocess.Popen(["sleep", "600"])
    try:
        pids = [os.getpid(), child.pid, stranger]
        control = "0 process_bytes 3000000000\n" + "".join(f"0 process {pid}\n" for pid in pids)
        facts = quick_gpu_machine(nvml({"seconds": 0.2}), control_text=control)["windows"][0]["facts"][uuid(0)]
    finally:
        child.terminate()
        child.wait()
    assert (facts["process_memory_bytes"], facts["process_memory_reason"]) == (6_000_000_000, None)
    assert [other["pid"] for other in facts["other_processes"]] == [stranger]


def test_a_process_of_another_namespace_is_counted_and_not_accused(quick_gpu_machine: Run) -> None:
    control = f"0 process 2000000000\n0 sm {2000000000 * 1000 + 90}\n"
    answer = quick_gpu_machine(nvml(LOADED, {"seconds": 0.2}), control_text=control)
    assert found(answer) == []
    facts = answer["windows"][0]["facts"][uuid(0)]
    assert (facts["processes_told"], facts["hidden_processes"], facts["process_memory_bytes"]) == (False, 1, None)
    assert [warning["code"] for warning in answer["warnings"]] == ["processes-hidden"]


@pytest.fixture
def container(tmp_path: Path) -> dict[str, str]:
    """Process ids are not those of the machine."""
    link = tmp_path / "namespace"
    link.symlink_to("pid:[4026532999]")
    return {"FAKE_PID_NAMESPACE": str(link)}


def test_a_host_process_whose_id_exists_inside_a_container_is_not_accused(
    quick_gpu_machine: Run, stranger: int, container: dict[str, str]
) -> None:
    control = f"0 process {stranger}\n0 sm {stranger * 1000 + 90}\n"
    answer = quick_gpu_machine(nvml(LOADED, {"seconds": 0.2}), control_text=control, **container)
    assert found(answer) == []
    facts = answer["windows"][0]["facts"][uuid(0)]
    assert (facts["processes_told"], facts["other_processes"], facts["hidden_processes"]) == (False, [], 1)
    (warning,) = answer["warnings"]
    assert warning["code"] == "processes-hidden" and "--pid=host" in warning["message"]


def test_a_container_whose_driver_lists_nothing_is_told_once_the_model_is_there(
    quick_gpu_machine: Run, container: dict[str, str]
) -> None:
    before = quick_gpu_machine(nvml({"seconds": 0.2}), **container)
    assert before["warnings"] == []
    after = quick_gpu_machine(nvml(LOADED), **container)
    assert [warning["code"] for warning in after["warnings"]] == ["processes-hidden"]


def test_a_container_in_which_we_see_ourselves_hides_nothing(
    quick_gpu_machine: Run, stranger: int, container: dict[str, str]
) -> None:
    """The worker itself is listed. A process above it is not enough: its id may be one of the host's by chance."""
    listed = f"0 process {stranger}\n0 sm {stranger * 1000 + 90}\n"
    answer = quick_gpu_machine(nvml({"seconds": 0.2, "list_me": listed}), **container)
    assert found(answer) == [("foreign-processes", "suspect")]
    assert answer["warnings"] == []


def test_another_process_of_the_experiment_says_so_too(quick_gpu_machine: Run, container: dict[str, str]) -> None:
    """Each process of an experiment may be alone on its board; the first one looks at all boards."""
    beside = subprocess.Popen(["sleep", "600"])
    try:
        answer = quick_gpu_machine(nvml(LOADED), control_text=f"0 process {beside.pid}\n", **container)
    finally:
        beside.terminate()
        beside.wait()
    assert (found(answer), answer["warnings"]) == ([], [])
    assert answer["windows"][0]["facts"][uuid(0)]["processes_told"] is True


def test_an_id_that_by_chance_is_one_of_ours_in_a_container_tells_nothing(
    quick_gpu_machine: Run, stranger: int, container: dict[str, str]
) -> None:
    """The driver lists ids of the host, one of which is that of a process above the worker."""
    control = f"0 process {os.getpid()}\n0 process {stranger}\n0 sm {stranger * 1000 + 90}\n"
    answer = quick_gpu_machine(nvml(LOADED, {"seconds": 0.2}), control_text=control, **container)
    assert found(answer) == []
    facts = answer["windows"][0]["facts"][uuid(0)]
    assert (facts["processes_told"], facts["hidden_processes"]) == (False, 2)
    assert (facts["process_memory_bytes"], facts["process_memory_reason"]) == (None, NOT_LISTED)
    assert [warning["code"] for warning in answer["warnings"]] == ["processes-hidden"]


def test_a_driver_that_hides_processes_is_a_fact(quick_gpu_machine: Run) -> None:
    answer = quick_gpu_machine(nvml({"seconds": 0.2}), control_text="0 processes 4\n")
    assert found(answer) == []
    facts = answer["windows"][0]["facts"][uuid(0)]
    assert facts["missing_sensors"] == {"processes": "Insufficient Permissions"}
    assert (facts["processes_told"], facts["hidden_processes"]) == (None, None)
    assert facts["process_memory_reason"] == "Insufficient Permissions"


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


def test_a_superchip_without_gpu_scope_is_no_meter(quick_gpu_machine: Run) -> None:
    answer = quick_gpu_machine(nvml({"seconds": 0.1}), names="NVIDIA GH200 480GB")
    assert "superchip" in answer["unavailable"]

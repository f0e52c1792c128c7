"""Who else used a board, and what our processes hold on it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from energy.simulated_gpus import NOT_LISTED, Run, codes_and_severities, nvml, uuid

LOADED = {"seconds": 0.2, "restrict": [uuid(0)]}


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


@pytest.mark.parametrize("kind", ["process", "graphic"])
def test_a_foreign_process_that_uses_the_sms_is_reported(quick_gpu_machine: Run, stranger: int, kind: str) -> None:
    control = f"0 {kind} {stranger}\n0 sm {stranger * 1000 + 40}\n"
    answer = quick_gpu_machine(nvml({"seconds": 0.2}), control_text=control)
    assert codes_and_severities(answer) == [("foreign-processes", "suspect")]
    assert f"{stranger} (40 %)" in answer["windows"][0]["findings"][0]["message"]


def test_a_process_that_came_and_went_in_the_window_is_reported(quick_gpu_machine: Run, stranger: int) -> None:
    answer = quick_gpu_machine(nvml({"seconds": 0.2, "control": f"0 sm {stranger * 1000 + 40}\n"}))
    assert codes_and_severities(answer) == [("foreign-processes", "suspect")]


@pytest.mark.parametrize("kind", ["process", "graphic"])
@pytest.mark.parametrize("percent", [0, 2])
def test_a_process_that_leaves_the_sms_alone_is_a_fact(
    quick_gpu_machine: Run, stranger: int, kind: str, percent: int
) -> None:
    """The compositor of a desktop; somebody's notebook that holds memory and computes nothing."""
    control = f"0 {kind} {stranger}\n" + (f"0 sm {stranger * 1000 + percent}\n" if percent else "")
    answer = quick_gpu_machine(nvml({"seconds": 0.2}), control_text=control)
    assert codes_and_severities(answer) == []
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
    assert codes_and_severities(answer) == []


@pytest.mark.parametrize(("kind", "findings"), [("process", [("foreign-processes", "suspect")]), ("graphic", [])])
def test_a_board_that_reports_no_use_leaves_those_that_could_compute(
    quick_gpu_machine: Run, stranger: int, kind: str, findings: list[tuple[str, str]]
) -> None:
    control = f"0 {kind} {stranger}\n0 utilization 3\n"
    assert codes_and_severities(quick_gpu_machine(nvml({"seconds": 0.2}), control_text=control)) == findings


def test_our_own_processes_are_not_foreign(quick_gpu_machine: Run) -> None:
    child = subprocess.Popen(["sleep", "600"])
    try:
        for pid in (os.getpid(), child.pid):
            control = f"0 process {pid}\n0 sm {pid * 1000 + 90}\n"
            assert codes_and_severities(quick_gpu_machine(nvml({"seconds": 0.2}), control_text=control)) == []
    finally:
        child.terminate()
        child.wait()


def test_what_our_processes_hold_on_the_board_is_reported(quick_gpu_machine: Run, stranger: int) -> None:
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
    assert codes_and_severities(answer) == []
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
    assert codes_and_severities(answer) == []
    facts = answer["windows"][0]["facts"][uuid(0)]
    assert (facts["processes_told"], facts["other_processes"], facts["hidden_processes"]) == (False, [], 1)
    (warning,) = answer["warnings"]
    assert warning["code"] == "processes-hidden" and "--pid=host" in warning["message"]


def test_a_container_whose_driver_lists_nothing_is_reported_once_the_model_is_there(
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
    assert codes_and_severities(answer) == [("foreign-processes", "suspect")]
    assert answer["warnings"] == []


def test_another_process_of_the_experiment_says_so_too(quick_gpu_machine: Run, container: dict[str, str]) -> None:
    """Each process of an experiment may be alone on its board; the first one looks at all boards."""
    beside = subprocess.Popen(["sleep", "600"])
    try:
        answer = quick_gpu_machine(nvml(LOADED), control_text=f"0 process {beside.pid}\n", **container)
    finally:
        beside.terminate()
        beside.wait()
    assert (codes_and_severities(answer), answer["warnings"]) == ([], [])
    assert answer["windows"][0]["facts"][uuid(0)]["processes_told"] is True


def test_an_id_that_by_chance_is_one_of_ours_in_a_container_proves_nothing(
    quick_gpu_machine: Run, stranger: int, container: dict[str, str]
) -> None:
    """The driver lists ids of the host, one of which is that of a process above the worker."""
    control = f"0 process {os.getpid()}\n0 process {stranger}\n0 sm {stranger * 1000 + 90}\n"
    answer = quick_gpu_machine(nvml(LOADED, {"seconds": 0.2}), control_text=control, **container)
    assert codes_and_severities(answer) == []
    facts = answer["windows"][0]["facts"][uuid(0)]
    assert (facts["processes_told"], facts["hidden_processes"]) == (False, 2)
    assert (facts["process_memory_bytes"], facts["process_memory_reason"]) == (None, NOT_LISTED)
    assert [warning["code"] for warning in answer["warnings"]] == ["processes-hidden"]


def test_a_driver_that_hides_processes_is_a_fact(quick_gpu_machine: Run) -> None:
    answer = quick_gpu_machine(nvml({"seconds": 0.2}), control_text="0 processes 4\n")
    assert codes_and_severities(answer) == []
    facts = answer["windows"][0]["facts"][uuid(0)]
    assert facts["missing_sensors"] == {"processes": "Insufficient Permissions"}
    assert (facts["processes_told"], facts["hidden_processes"]) == (None, None)
    assert facts["process_memory_reason"] == "Insufficient Permissions"

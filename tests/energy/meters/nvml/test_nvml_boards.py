"""Which boards of a machine count, and which figures a machine with several has."""

from __future__ import annotations

import math
import re

import pytest
from energy.simulated_gpus import COUNTER, Run, nvml, true_energy_j, uuid, warning_codes, without_gain_j

from llenergymeasure.records.machine import Meters


def test_only_the_visible_board_is_metered(gpu_machine: Run) -> None:
    answer = gpu_machine(nvml({"seconds": 0.6}), power_w="100,300", CUDA_VISIBLE_DEVICES="1")
    (entry,) = answer["windows"][0]["entries"]
    assert entry["device"] == uuid(1)
    assert entry["energy_j"] / entry["duration_s"] == pytest.approx(300, rel=0.12)


def test_two_boards_are_kept_apart_and_summed_as_independent(gpu_machine: Run) -> None:
    answer = gpu_machine(nvml({"seconds": 1.0}), power_w="100,300")
    (window,) = answer["windows"]
    first, second = window["entries"]
    assert (first["device"], second["device"]) == (uuid(0), uuid(1))
    energy, uncertainty, _, source, reason = window["primary"].values()
    assert energy == pytest.approx(first["energy_j"] + second["energy_j"])
    assert uncertainty == pytest.approx(math.hypot(first["standard_uncertainty_j"], second["standard_uncertainty_j"]))
    assert (source, reason) == (COUNTER, None)
    assert re.search(r"counter tick of (9\d|10\d)\.\d ms", first["uncertainty_basis"])
    for entry, mean_w in ((first, 100.0), (second, 300.0)):
        truth = true_energy_j(window["start"], window["end"], mean_w=mean_w)
        assert entry["energy_j"] == pytest.approx(truth, abs=max(2 * without_gain_j(entry), 0.005 * truth))


def test_after_loading_only_the_board_with_parameters_counts(gpu_machine: Run) -> None:
    answer = gpu_machine(
        nvml({"seconds": 0.3, "phase": "load"}, {"seconds": 0.3, "restrict": [uuid(1)]}),
        power_w="100,300",
    )
    assert [entry["device"] for entry in answer["windows"][0]["entries"]] == [uuid(0), uuid(1)]
    assert [entry["device"] for entry in answer["windows"][1]["entries"]] == [uuid(1)]
    assert {row["device"] for row in answer["windows"][1]["trace"]} == {uuid(1)}


@pytest.mark.parametrize(
    ("control", "settings", "reason"),
    [
        ("1 handle 4\n", {}, "refused: GPU 1: Insufficient Permissions"),
        ("", {"mig": "0,1"}, "a MIG instance has no energy counter"),
    ],
)
def test_a_board_that_nvml_refuses_is_unmetered_and_the_others_count(
    quick_gpu_machine: Run, control: str, settings: dict[str, str], reason: str
) -> None:
    """The model sits on it beside another one: no figure, with the reason, and nothing that stops the worker."""
    windows = [{"seconds": 0.3, "restrict": [uuid(0), uuid(1)]}, {"seconds": 0.3, "restrict": [uuid(0)]}]
    answer = quick_gpu_machine(nvml(*windows), power_w="100,300", control_text=control, **settings)
    both, first = answer["windows"]
    by_device = {entry["device"]: entry for entry in both["entries"]}
    assert by_device[uuid(0)]["energy_j"] == pytest.approx(100 * both["duration"], rel=0.02)
    assert (by_device[uuid(1)]["energy_j"], by_device[uuid(1)]["source"]) == (None, "none")
    assert both["primary"]["energy_j"] is None
    for text in (by_device[uuid(1)]["reason"], both["primary"]["reason"]):
        assert uuid(1) in text and reason in text
    assert warning_codes(answer) == ["gpu-not-metered"]
    # The record takes what the meters say of themselves, the refused device included.
    (refused,) = Meters.from_plain(answer["describe"]).refused
    assert refused.meter == "nvml" and refused.device is not None
    assert [refused.to_plain()] == answer["describe"]["refused"]
    assert first["primary"]["energy_j"] == pytest.approx(100 * first["duration"], rel=0.02)


def test_a_model_on_the_cpu_gets_no_idle_gpu_energy(gpu_machine: Run) -> None:
    answer = gpu_machine(
        {"windows": [{"seconds": 0.3, "phase": "idle"}, {"seconds": 0.3, "restrict": []}]}, power_w="200"
    )
    idle, generate = answer["windows"]
    assert idle["primary"]["source"] == COUNTER
    assert {entry["domain"] for entry in generate["entries"]} == {"cpu", "dram"}
    assert generate["primary"]["source"] == "estimated:codecarbon"
    assert generate["trace"] == []
    assert "gpu-not-used" in warning_codes(answer)


def test_a_model_on_the_cpu_with_only_a_gpu_meter_has_no_figure(gpu_machine: Run) -> None:
    answer = gpu_machine(nvml({"seconds": 0.1, "restrict": []}))
    (entry,) = answer["windows"][0]["entries"]
    assert entry["energy_j"] is None
    assert "no GPU holds parameters" in entry["reason"]


def test_one_lost_board_makes_the_sum_unknown(gpu_machine: Run) -> None:
    answer = gpu_machine(nvml({"seconds": 0.6, "control": "1 energy 15\n"}), power_w="100,300")
    (window,) = answer["windows"]
    assert window["entries"][0]["energy_j"] is not None
    assert window["primary"]["energy_j"] is None


@pytest.mark.parametrize(
    "environment", [{"CUDA_VISIBLE_DEVICES": "MIG-11111111-2222-3333-4444-555555555555"}, {"mig": "1"}]
)
def test_mig_is_refused_with_the_reason(gpu_machine: Run, environment: dict[str, str]) -> None:
    answer = gpu_machine(nvml({"seconds": 0.1}), **environment)
    assert "MIG" in answer["unavailable"] and "neighbours" in answer["unavailable"]
    assert "\n" not in answer["unavailable"]


def test_a_hidden_gpu_does_not_count(gpu_machine: Run) -> None:
    answer = gpu_machine(nvml({"seconds": 0.1}), CUDA_VISIBLE_DEVICES="")
    assert "hides every GPU" in answer["unavailable"]


def test_the_driver_saying_no_is_a_reason(gpu_machine: Run) -> None:
    answer = gpu_machine(nvml({"seconds": 0.1}), control_text="0 init 9\n")
    assert "NVML does not start" in answer["unavailable"]


def test_a_board_of_doubtful_order_can_still_be_the_one(gpu_machine: Run) -> None:
    """CUDA counts by speed: index 0 may be NVML's board 1. After loading the UUID decides."""
    answer = gpu_machine(
        nvml({"seconds": 0.3, "phase": "idle"}, {"seconds": 0.3, "restrict": [uuid(1)]}),
        power_w="100,300",
        names="Slow,Fast",
        CUDA_VISIBLE_DEVICES="0",
    )
    assert [entry["device"] for entry in answer["windows"][1]["entries"]] == [uuid(1)]
    assert warning_codes(answer).count("device-order") == 2


def test_the_record_names_driver_and_boards(gpu_machine: Run) -> None:
    answer = gpu_machine(nvml({"seconds": 0.1}), power_w="100,300", CUDA_VISIBLE_DEVICES=uuid(1)[:8])
    (device,) = answer["describe"]["devices"]
    assert (device["uuid"], device["name"], device["nvml_index"]) == (uuid(1), "Simulated GPU", 1)
    assert answer["describe"]["meters"][0]["driver"] == "999.1"
    assert answer["describe"]["meters"][0]["cuda_driver"] == "13.0"
    assert device["board"] == {
        "pci_bus_id": "00000000:18:00.0",
        "vbios": "96.00.5F.00.02",
        "memory_bytes": 80 << 30,
        "power_limit_w": 400.0,
        "power_limit_default_w": 400.0,
        "power_limit_min_w": 100.0,
        "power_limit_max_w": 450.0,
        "sm_clock_mhz": 1410,
        "memory_clock_mhz": 1593,
        "application_sm_clock_mhz": 1410,
        "application_memory_clock_mhz": 1593,
        "default_sm_clock_mhz": 1410,
        "default_memory_clock_mhz": 1593,
        "max_sm_clock_mhz": 1980,
        "max_memory_clock_mhz": 1593,
        "ecc_mode": True,
        "mig_mode": None,
        "persistence_mode": True,
        "not_told": {"mig_mode": "Not Supported"},
    }
    assert answer["torch"] is False

"""Which meters are opened, and what is said when none is."""

from __future__ import annotations

from typing import get_args

import pytest
from energy.simulated_gpus import Run

from llenergymeasure.config import EnergyConfig
from llenergymeasure.records.meters import METERS


def test_a_study_can_name_exactly_the_meters_there_are() -> None:
    assert _arguments(EnergyConfig.model_fields["meters"].annotation) == set(METERS)


def _arguments(annotation: object) -> set[str]:
    """The strings of the Literal inside an annotation, however deep it is."""
    if isinstance(annotation, str):
        return {annotation}
    return set().union(*(_arguments(part) for part in get_args(annotation)))


def test_every_meter_that_works_and_a_reason_for_the_others(machine: Run) -> None:
    answer = machine({"windows": [{"seconds": 0.1}]}, LD_LIBRARY_PATH="")
    if answer["describe"]["refused"] == []:
        pytest.skip("this machine has a GPU")
    refused = {refusal["meter"]: refusal["reason"] for refusal in answer["describe"]["refused"]}
    if "rapl" not in refused:
        pytest.skip("this machine has RAPL")
    assert refused.keys() == {"nvml", "rapl"}
    assert "NVML" in refused["nvml"]
    assert "powercap" in refused["rapl"]
    assert [meter["meter"] for meter in answer["describe"]["meters"]] == ["codecarbon"]
    assert answer["windows"][0]["primary"]["source"] == "estimated:codecarbon"


def test_measured_and_estimated_are_both_kept_and_never_added(gpu_machine: Run) -> None:
    answer = gpu_machine({"windows": [{"seconds": 0.5}]})
    (window,) = answer["windows"]
    assert {entry["domain"]: entry["source"].split(":")[0] for entry in window["entries"]} == {
        "gpu": "measured",
        "cpu": "estimated",
        "dram": "estimated",
    }
    (gpu,) = [entry for entry in window["entries"] if entry["domain"] == "gpu"]
    assert window["primary"]["energy_j"] == gpu["energy_j"]
    assert len({(entry["start_monotonic_s"], entry["end_monotonic_s"]) for entry in window["entries"]}) == 1


def test_what_rapl_measures_is_not_estimated_too(rapl_machine: Run) -> None:
    answer = rapl_machine({"meters": ["codecarbon", "rapl"], "windows": [{"seconds": 0.2}]}, CUDA_VISIBLE_DEVICES="")
    assert answer["unavailable"].startswith("energy.meters: codecarbon cannot work here: it finds no hardware that is")
    answer = rapl_machine({"windows": [{"seconds": 0.3}]}, LD_LIBRARY_PATH="")
    (window,) = answer["windows"]
    assert {entry["source"] for entry in window["entries"]} == {"measured:rapl"}
    assert window["primary"]["energy_j"] == pytest.approx(90 * window["duration"], rel=0.1)


def test_a_meter_that_was_asked_for_and_cannot_work_is_an_error(machine: Run) -> None:
    answer = machine({"meters": ["nvml", "codecarbon"], "windows": []}, CUDA_VISIBLE_DEVICES="", LD_LIBRARY_PATH="")
    assert answer["unavailable"].startswith("energy.meters: nvml cannot work here:")
    assert "remove it from energy.meters" in answer["unavailable"]
    assert "\n" not in answer["unavailable"]


def test_no_meter_still_gives_times_and_one_reason(machine: Run) -> None:
    answer = machine({"meters": [], "windows": [{"seconds": 0.2}]})
    (window,) = answer["windows"]
    (entry,) = window["entries"]
    assert window["duration"] >= 0.2
    assert entry["energy_j"] is None
    assert entry["source"] == "none"
    assert "energy.meters is empty" in entry["reason"]
    assert list(window["primary"].values()) == [None, None, None, None, entry["reason"]]


def test_a_gpu_that_holds_parameters_and_has_no_meter_makes_the_sum_unknown(machine: Run) -> None:
    """CPU and RAM alone would be called the energy of a run whose work was done elsewhere."""
    answer = machine({"meters": ["codecarbon"], "windows": [{"seconds": 0.1, "restrict": ["GPU-somewhere"]}]})
    (window,) = answer["windows"]
    assert window["primary"]["energy_j"] is None
    assert "GPU-somewhere" in window["primary"]["reason"]
    assert [warning["code"] for warning in answer["warnings"]] == ["gpu-not-metered"]

"""Zeus's real device layer over simulated NVIDIA boards, and over a system on a chip that is made up."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest
from energy.simulated_gpus import Run, uuid

from llenergymeasure.energy import MeterSet, open_meters
from llenergymeasure.energy.meter import MeterUnavailable


def zeus(*windows: dict[str, Any], meters: tuple[str, ...] = ("zeus",)) -> dict[str, Any]:
    return {"meters": list(meters), "windows": list(windows)}


@pytest.mark.parametrize("period_s", ["0.02", "0.1"])
def test_the_true_value_lies_inside_the_stated_uncertainty(gpu_machine: Run, period_s: str) -> None:
    answer = gpu_machine(zeus(*[{"seconds": 0.8 + 0.017 * i} for i in range(3)]), period_s=period_s)
    (device,) = answer["describe"]["devices"]
    assert device["counter_update_period_s"] == pytest.approx(float(period_s), rel=0.15)
    for window in answer["windows"]:
        (entry,) = window["entries"]
        assert (entry["source"], entry["domain"], entry["device"]) == ("measured:zeus", "gpu", "gpu-0")
        assert abs(entry["energy_j"] - 200 * window["duration"]) <= entry["expanded_uncertainty_j"]
        assert {component["kind"] for component in entry["components"]} == {"edge", "rate", "gain"}
        assert sum(piece["energy_j"] for piece in window["intervals"]) == pytest.approx(entry["energy_j"])


def test_all_visible_gpus_count_and_that_is_said(gpu_machine: Run) -> None:
    answer = gpu_machine(zeus({"seconds": 0.5}), power_w="100,300")
    energies = {entry["device"]: entry["energy_j"] for entry in answer["windows"][0]["entries"]}
    assert energies == {"gpu-0": pytest.approx(50, rel=0.1), "gpu-1": pytest.approx(150, rel=0.1)}
    assert [warning["code"] for warning in answer["warnings"]] == ["zeus-all-gpus"]
    assert "all 2 visible ones are counted" in answer["warnings"][0]["message"]
    hidden = gpu_machine(zeus({"seconds": 0.5}), power_w="100,300", CUDA_VISIBLE_DEVICES="1")
    assert [entry["energy_j"] for entry in hidden["windows"][0]["entries"]] == [pytest.approx(150, rel=0.1)]


def test_devices_hidden_by_uuid_are_refused_in_words(gpu_machine: Run) -> None:
    answer = gpu_machine(zeus({"seconds": 0.1}), power_w="100,300", CUDA_VISIBLE_DEVICES=uuid(1))
    assert "use numbers" in answer["unavailable"]


def test_what_nvml_covers_is_not_counted_again(gpu_machine: Run) -> None:
    answer = gpu_machine(zeus({"seconds": 0.1}, meters=("nvml", "zeus")))
    assert "what it finds is covered by another meter already" in answer["unavailable"]


def test_a_counter_that_fails_or_runs_backwards_leaves_a_reason(gpu_machine: Run) -> None:
    answer = gpu_machine(
        zeus({"seconds": 0.5, "control": "0 energy 15\n"}, {"seconds": 0.5, "control": "0 offset -900000000\n"})
    )
    failed, backwards = (window["entries"][0] for window in answer["windows"])
    assert failed["energy_j"] is None
    assert "reading the counter failed at the end of the window" in failed["reason"]
    assert backwards["energy_j"] is None


def test_it_is_never_opened_unasked(gpu_machine: Run) -> None:
    answer = gpu_machine({"windows": [{"seconds": 0.1}]})
    assert "zeus" not in [meter["meter"] for meter in answer["describe"]["meters"]]
    assert "zeus" not in [refusal["meter"] for refusal in answer["describe"]["refused"]]


def test_where_it_is_not_installed_the_command_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "zeus.device", None)
    with pytest.raises(MeterUnavailable, match="python -m pip install zeus"):
        opened()


def test_a_machine_without_anything_it_reads_says_so() -> None:
    with pytest.raises(MeterUnavailable, match=r"no GPU: .*; no system on a chip: "):
        opened()


@dataclass
class SocEnergy:
    cpu_energy_mj: float | None
    gpu_energy_mj: float | None
    total_energy_mj: float | None


class Jetson:
    """Counters that move with every reading, 5 mJ of CPU and 20 mJ of GPU each time."""

    readings = 0

    def get_total_energy_consumption(self) -> SocEnergy:
        self.readings += 1
        return SocEnergy(5.0 * self.readings, 20.0 * self.readings, 40.0 * self.readings)


@pytest.fixture
def jetson(monkeypatch: pytest.MonkeyPatch) -> Iterator[MeterSet]:
    monkeypatch.setattr("zeus.device.get_soc", Jetson)
    with_soc = opened()
    yield with_soc
    with_soc.close()


def test_a_system_on_a_chip_has_its_parts_apart_and_its_total_in_no_sum(jetson: MeterSet) -> None:
    with jetson.window("generate", lambda: None) as window:
        jetson.clock.sleep(0.2)
    assert {(entry.device, entry.domain) for entry in window.entries} == {("soc-cpu", "cpu"), ("soc-gpu", "gpu")}
    assert all(entry.energy_j is not None and entry.energy_j > 0 for entry in window.entries)


def test_a_model_on_the_cpu_gets_no_energy_of_the_gpu(jetson: MeterSet) -> None:
    jetson.restrict([])
    with jetson.window("generate", lambda: None) as window:
        jetson.clock.sleep(0.1)
    assert [entry.domain for entry in window.entries] == ["cpu"]


def opened() -> MeterSet:
    return open_meters(SimpleNamespace(meters=["zeus"], power_interval_s=0.05, boundary=None))

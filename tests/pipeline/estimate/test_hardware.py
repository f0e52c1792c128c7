"""A board by what its driver says, the processor by a trial."""

from __future__ import annotations

from types import SimpleNamespace

import pynvml
import pytest

from llenergymeasure.energy.meters.nvml.visible_devices import Board, Selection
from llenergymeasure.pipeline.estimate import hardware
from llenergymeasure.pipeline.estimate.hardware import BANDWIDTH_SHARE, PEAK_SHARE, first_board, processor

H100 = {
    "nvmlDeviceGetMemoryInfo": SimpleNamespace(total=85_520_809_984),
    "nvmlDeviceGetMemoryBusWidth": 5120,
    "nvmlDeviceGetNumGpuCores": 16_896,
    "nvmlDeviceGetCudaComputeCapability": (9, 0),
    "nvmlDeviceGetEnforcedPowerLimit": 700_000,
}
CLOCKS_MHZ = {pynvml.NVML_CLOCK_MEM: 2619, pynvml.NVML_CLOCK_SM: 1980}


@pytest.fixture
def one_h100(monkeypatch: pytest.MonkeyPatch) -> None:
    board = Board(0, "GPU-1", "NVIDIA H100 80GB HBM3", False)
    selection = Selection([board])
    monkeypatch.setattr(hardware, "look_at_boards", lambda _: SimpleNamespace(selection=selection))
    monkeypatch.setattr(hardware, "list_boards", lambda: SimpleNamespace(handles={"GPU-1": "handle"}))
    monkeypatch.setattr(pynvml, "nvmlInit", lambda: None)
    monkeypatch.setattr(pynvml, "nvmlShutdown", lambda: None)
    for name, answer in H100.items():
        monkeypatch.setattr(pynvml, name, lambda _, answer=answer: answer)
    monkeypatch.setattr(pynvml, "nvmlDeviceGetMaxClockInfo", lambda _, kind: CLOCKS_MHZ[kind])


@pytest.mark.usefixtures("one_h100")
def test_an_h100_has_the_speeds_of_its_data_sheet() -> None:
    board = first_board({})
    assert board is not None and board.is_gpu and board.name == "NVIDIA H100 80GB HBM3"
    assert board.bandwidth == pytest.approx(3.35e12 * BANDWIDTH_SHARE, rel=0.01)
    assert board.flops["fp32"] == pytest.approx(66.9e12 * PEAK_SHARE, rel=0.01)
    assert board.flops["bf16"] == pytest.approx(989e12 * PEAK_SHARE, rel=0.01)
    assert board.memory_bytes == 85_520_809_984
    assert board.power_w == pytest.approx(420)


@pytest.mark.usefixtures("one_h100")
def test_what_a_driver_does_not_say_is_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)

    for name in (*H100, "nvmlDeviceGetMaxClockInfo"):
        monkeypatch.setattr(pynvml, name, refuse)
    board = first_board({})
    assert board is not None
    assert (board.bandwidth, board.flops, board.memory_bytes, board.power_w) == (None, {}, None, None)


def test_without_a_driver_there_is_no_board(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hardware, "look_at_boards", lambda _: None)
    assert first_board({}) is None


def test_the_processor_is_tried() -> None:
    here = processor(frozenset({"fp32"}))
    assert not here.is_gpu and here.memory_bytes and here.power_w
    assert here.bandwidth is not None and 1e8 < here.bandwidth < 1e13
    assert 1e8 < here.flops["fp32"] < 1e15

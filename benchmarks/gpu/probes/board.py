"""The board that is looked at: the one that CUDA will use, as NVML knows it."""

from __future__ import annotations

import os
from functools import cache
from typing import Any

import pynvml

from llenergymeasure.energy.nvml_power import PowerSource, choose_power, superchip
from llenergymeasure.energy.visible_devices import Board, select_boards


@cache
def first_visible() -> Any:
    """NVML's handle of the first board that CUDA may use.

    Raises:
        RuntimeError: CUDA may use none.
    """
    pynvml.nvmlInit()
    handles = [pynvml.nvmlDeviceGetHandleByIndex(index) for index in range(pynvml.nvmlDeviceGetCount())]
    boards = [
        Board(index, pynvml.nvmlDeviceGetUUID(handle), pynvml.nvmlDeviceGetName(handle), mig_enabled=False)
        for index, handle in enumerate(handles)
    ]
    chosen = select_boards(boards, os.environ).boards
    if not chosen:
        raise RuntimeError("NVML lists no board that CUDA may use (CUDA_VISIBLE_DEVICES)")
    return handles[chosen[0].index]


@cache
def power_source() -> PowerSource:
    """The reading of power that the pipeline would take."""
    handle = first_visible()
    name = pynvml.nvmlDeviceGetName(handle)
    return choose_power(handle, name, superchip=superchip(handle, name))


def counter_j() -> float:
    """The board's energy counter in joules."""
    return float(pynvml.nvmlDeviceGetTotalEnergyConsumption(first_visible())) / 1e3

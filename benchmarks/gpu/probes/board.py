"""The board that is checked: the one that CUDA will use, as NVML knows it."""

from __future__ import annotations

import os
from functools import cache
from typing import Any

import pynvml

from llenergymeasure.energy.meters.nvml.boards import list_boards
from llenergymeasure.energy.meters.nvml.power import PowerSource, choose_power, superchip
from llenergymeasure.energy.meters.nvml.visible_devices import select_boards


@cache
def first_visible() -> Any:
    """NVML's handle of the first board that CUDA may use.

    Raises:
        RuntimeError: CUDA may use no board, or only boards without a counter of their own.
    """
    pynvml.nvmlInit()
    listed = list_boards()
    selection = select_boards(listed.boards, os.environ)
    if not selection.boards:
        refused = [f"{name}: {reason}" for name, reason in [*selection.refused, *listed.unreadable]]
        raise RuntimeError("; ".join(refused) or "NVML lists no board that CUDA may use (CUDA_VISIBLE_DEVICES)")
    return listed.handles[selection.boards[0].uuid]


@cache
def power_source() -> PowerSource:
    """The reading of power that the pipeline would take."""
    handle = first_visible()
    name = pynvml.nvmlDeviceGetName(handle)
    return choose_power(handle, name, superchip=superchip(handle, name))


def limit_w() -> float | None:
    """The board's power limit; None where the board does not report one."""
    try:
        return float(pynvml.nvmlDeviceGetEnforcedPowerLimit(first_visible())) / 1e3
    except pynvml.NVMLError:
        return None


def counter_j() -> float:
    """The board's energy counter in joules."""
    return float(pynvml.nvmlDeviceGetTotalEnergyConsumption(first_visible())) / 1e3

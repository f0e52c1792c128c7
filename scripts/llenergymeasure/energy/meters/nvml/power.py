"""Which power reading of an NVIDIA board to use, and over how long it is averaged."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import pynvml

from llenergymeasure.energy.integration.sensors import AVERAGING_S, is_ga100, is_superchip

# By number: older bindings lack the names NVML_FI_DEV_POWER_INSTANT, …_AVERAGE, NVML_POWER_SCOPE_GPU and …_MODULE.
INSTANT, AVERAGE = 186, 185
GPU_SCOPE, MODULE_SCOPE = 0, 1


@dataclass(frozen=True)
class PowerSource:
    """How the power of a board is read: watts of the GPU and its memory, or pynvml.NVMLError."""

    name: str
    averaging_s: float
    read: Callable[[], float]


def choose_power(handle: Any, board_name: str, *, superchip: bool) -> PowerSource:
    """The instant field value, else the averaged one, else the plain power usage.

    The field values are asked for GPU scope. A superchip has nothing else: which parts its plain power usage covers is
    not documented.

    Raises:
        pynvml.NVMLError: none of them can be read.
    """
    instant = PowerSource("instant field, GPU scope", 0.0, partial(field_power_w, handle, INSTANT))
    average = PowerSource("average field, GPU scope", AVERAGING_S, partial(field_power_w, handle, AVERAGE))
    usage = PowerSource("power usage", _usage_averaging_s(handle, board_name), partial(_usage_w, handle))
    for source in (instant, average):
        try:
            source.read()
        except pynvml.NVMLError as error:
            if superchip and source is average:
                raise error
        else:
            return source
    usage.read()
    return usage


def superchip(handle: Any, board_name: str) -> bool:
    """Whether the board shares a module with a CPU: by its name, or because the module's power can be read."""
    if is_superchip(board_name):
        return True
    try:
        # Some boards answer for the module of which they are not a part, with 0 W.
        return field_power_w(handle, INSTANT, MODULE_SCOPE) > 0
    except pynvml.NVMLError:
        return False


def field_power_w(handle: Any, field: int, scope: int = GPU_SCOPE) -> float:
    """A power field value in watts. Raises pynvml.NVMLError, also for the field's own error code."""
    (value,) = pynvml.nvmlDeviceGetFieldValues(handle, [(field, scope)])
    if value.nvmlReturn != pynvml.NVML_SUCCESS:
        raise pynvml.NVMLError(value.nvmlReturn)
    return float(value.value.uiVal) / 1e3


def _usage_w(handle: Any) -> float:
    return float(pynvml.nvmlDeviceGetPowerUsage(handle)) / 1e3


def _usage_averaging_s(handle: Any, board_name: str) -> float:
    try:
        architecture = pynvml.nvmlDeviceGetArchitecture(handle)
    except pynvml.NVMLError:
        return AVERAGING_S  # an unknown board: the longer of the two is the safer guess
    ampere_or_newer = architecture >= pynvml.NVML_DEVICE_ARCH_AMPERE
    return AVERAGING_S if ampere_or_newer and not is_ga100(board_name) else 0.0

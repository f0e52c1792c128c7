"""What is read of a board before and after a window. The calls are slow, so they are never made in a window."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import pynvml

from llenergymeasure.energy.meters.nvml.processes import BoardProcesses, board_processes
from llenergymeasure.energy.meters.nvml.throttle import read_counters

Value = TypeVar("Value")


@dataclass(frozen=True)
class BoardState:
    """A board between windows; what it does not report is None, with the driver's answer in `missing`.

    time_s: when, on the meters' clock
    throttled_s: seconds each reason has held the clocks down since the driver was loaded
    memory_used_bytes: of the whole board, whoever uses it
    """

    time_s: float
    uncorrected_ecc_errors: int | None
    corrected_ecc_errors: int | None
    power_limit_w: float | None
    power_limit_default_w: float | None
    persistence_mode: bool | None
    memory_used_bytes: int | None
    throttled_s: dict[str, float] | None
    processes: BoardProcesses | None
    missing: dict[str, str]


def board_state(handle: Any, time_s: float, seen_until_us: int) -> BoardState:
    """Ask the driver. A call that fails is noted in `missing`; nothing is raised.

    seen_until_us: `BoardProcesses.seen_until_us` of the look before
    """
    missing: dict[str, str] = {}

    def ask(what: str, read: Callable[[], Value]) -> Value | None:
        try:
            return read()
        except (pynvml.NVMLError, AttributeError) as error:
            # AttributeError: an older binding lacks the name.
            missing[what] = str(error)
            return None

    def ecc(kind: int) -> int:
        return int(pynvml.nvmlDeviceGetTotalEccErrors(handle, kind, pynvml.NVML_VOLATILE_ECC))

    def watts(read: Callable[[Any], int]) -> float:
        return float(read(handle)) / 1e3

    return BoardState(
        time_s=time_s,
        # First: the nearer to the window, the less of what lies beside it is in these.
        throttled_s=ask("throttle_counters", lambda: read_counters(handle)),
        processes=ask("processes", lambda: board_processes(handle, seen_until_us)),
        uncorrected_ecc_errors=ask("uncorrected_ecc_errors", lambda: ecc(pynvml.NVML_MEMORY_ERROR_TYPE_UNCORRECTED)),
        corrected_ecc_errors=ask("corrected_ecc_errors", lambda: ecc(pynvml.NVML_MEMORY_ERROR_TYPE_CORRECTED)),
        power_limit_w=ask("power_limit_w", lambda: watts(pynvml.nvmlDeviceGetEnforcedPowerLimit)),
        power_limit_default_w=ask(
            "power_limit_default_w", lambda: watts(pynvml.nvmlDeviceGetPowerManagementDefaultLimit)
        ),
        persistence_mode=ask("persistence_mode", lambda: bool(pynvml.nvmlDeviceGetPersistenceMode(handle))),
        memory_used_bytes=ask("memory_used_bytes", lambda: int(pynvml.nvmlDeviceGetMemoryInfo(handle).used)),
        missing=missing,
    )

"""What is looked at on a board before and after a window. Slow calls, hence never in one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import pynvml

from llenergymeasure.energy.own_processes import exists, own_processes

Value = TypeVar("Value")


@dataclass(frozen=True)
class BoardState:
    """A board between windows; what it does not tell is None and stands in `missing` with the driver's answer.

    foreign_pids: processes on the board that are not of this experiment
    hidden_processes: processes on the board that cannot be seen from here, so nobody can say whose they are
    """

    uncorrected_ecc_errors: int | None
    corrected_ecc_errors: int | None
    power_limit_w: float | None
    persistence_mode: bool | None
    foreign_pids: tuple[int, ...] | None
    hidden_processes: int | None
    missing: dict[str, str]


def board_state(handle: Any) -> BoardState:
    """Ask the driver; a call that fails is `missing`, it raises nothing."""
    missing: dict[str, str] = {}

    def ask(what: str, read: Callable[[], Value]) -> Value | None:
        try:
            return read()
        except pynvml.NVMLError as error:
            missing[what] = str(error)
            return None

    def ecc(kind: int) -> int:
        return int(pynvml.nvmlDeviceGetTotalEccErrors(handle, kind, pynvml.NVML_VOLATILE_ECC))

    pids = ask("processes", lambda: _pids(handle))
    visible = None if pids is None else {pid for pid in pids if exists(pid)}
    return BoardState(
        uncorrected_ecc_errors=ask("uncorrected_ecc_errors", lambda: ecc(pynvml.NVML_MEMORY_ERROR_TYPE_UNCORRECTED)),
        corrected_ecc_errors=ask("corrected_ecc_errors", lambda: ecc(pynvml.NVML_MEMORY_ERROR_TYPE_CORRECTED)),
        power_limit_w=ask("power_limit_w", lambda: float(pynvml.nvmlDeviceGetEnforcedPowerLimit(handle)) / 1e3),
        persistence_mode=ask("persistence_mode", lambda: bool(pynvml.nvmlDeviceGetPersistenceMode(handle))),
        foreign_pids=None if visible is None else tuple(sorted(visible - own_processes())) if visible else (),
        hidden_processes=None if pids is None or visible is None else len(pids - visible),
        missing=missing,
    )


def _pids(handle: Any) -> set[int]:
    """Compute and graphics processes; drivers before 510 know only the second version of the calls."""
    try:
        compute = pynvml.nvmlDeviceGetComputeRunningProcesses_v3(handle)
        graphics = pynvml.nvmlDeviceGetGraphicsRunningProcesses_v3(handle)
    except pynvml.NVMLError_FunctionNotFound:
        compute = pynvml.nvmlDeviceGetComputeRunningProcesses_v2(handle)
        graphics = pynvml.nvmlDeviceGetGraphicsRunningProcesses_v2(handle)
    return {int(process.pid) for process in (*compute, *graphics)}

"""What a board is and how it is set: firmware, limits, clocks, modes. For the record; asked once, outside windows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pynvml

SM, MEMORY = pynvml.NVML_CLOCK_SM, pynvml.NVML_CLOCK_MEM


def board_facts(handle: Any) -> dict[str, Any]:
    """Watts, megahertz, bytes and modes; None where the driver does not report one, with its answer in `not_told`.

    NVML has no call that reports whether clocks are locked: an SM clock that stays below `max_sm_clock_mhz` shows it.
    """
    not_told: dict[str, str] = {}

    def ask(name: str, read: Callable[[], Any]) -> Any:
        try:
            return read()
        except (pynvml.NVMLError, AttributeError) as error:
            # AttributeError: an older binding lacks the name.
            not_told[name] = str(error)
            return None

    # By name, so that a call which an older binding lacks is listed in `not_told` instead of being an error.
    def watts(call: str) -> Callable[[], float]:
        return lambda: float(getattr(pynvml, call)(handle)) / 1e3

    def clock(call: str, kind: int) -> Callable[[], int]:
        return lambda: int(getattr(pynvml, call)(handle, kind))

    def limit(which: int) -> Callable[[], float]:
        return lambda: float(pynvml.nvmlDeviceGetPowerManagementLimitConstraints(handle)[which]) / 1e3

    reads: dict[str, Callable[[], Any]] = {
        "pci_bus_id": lambda: _text(pynvml.nvmlDeviceGetPciInfo_v3(handle).busId),
        "vbios": lambda: _text(pynvml.nvmlDeviceGetVbiosVersion(handle)),
        "memory_bytes": lambda: int(pynvml.nvmlDeviceGetMemoryInfo(handle).total),
        "power_limit_w": watts("nvmlDeviceGetEnforcedPowerLimit"),
        "power_limit_default_w": watts("nvmlDeviceGetPowerManagementDefaultLimit"),
        "power_limit_min_w": limit(0),
        "power_limit_max_w": limit(1),
        "sm_clock_mhz": clock("nvmlDeviceGetClockInfo", SM),
        "memory_clock_mhz": clock("nvmlDeviceGetClockInfo", MEMORY),
        "application_sm_clock_mhz": clock("nvmlDeviceGetApplicationsClock", SM),
        "application_memory_clock_mhz": clock("nvmlDeviceGetApplicationsClock", MEMORY),
        "default_sm_clock_mhz": clock("nvmlDeviceGetDefaultApplicationsClock", SM),
        "default_memory_clock_mhz": clock("nvmlDeviceGetDefaultApplicationsClock", MEMORY),
        "max_sm_clock_mhz": clock("nvmlDeviceGetMaxClockInfo", SM),
        "max_memory_clock_mhz": clock("nvmlDeviceGetMaxClockInfo", MEMORY),
        "ecc_mode": lambda: bool(pynvml.nvmlDeviceGetEccMode(handle)[0]),
        "mig_mode": lambda: bool(pynvml.nvmlDeviceGetMigMode(handle)[0]),
        "persistence_mode": lambda: bool(pynvml.nvmlDeviceGetPersistenceMode(handle)),
    }
    return {**{name: ask(name, read) for name, read in reads.items()}, "not_told": not_told}


def cuda_driver_version() -> str | None:
    """The CUDA version that the driver supports, such as `13.0`; None where the driver does not report it."""
    try:
        number = int(pynvml.nvmlSystemGetCudaDriverVersion_v2())
    except pynvml.NVMLError:
        return None
    return f"{number // 1000}.{number % 1000 // 10}"


def _text(answer: str | bytes) -> str:
    return answer.decode("ascii", errors="replace") if isinstance(answer, bytes) else answer

"""What one experiment of a process leaves to the next: memory is given back between them, and checked."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from llenergymeasure.engine.devices import DeviceKind
from llenergymeasure.engine.memory import MemoryState, sum_states
from llenergymeasure.engine.replicas import Group
from llenergymeasure.records.finding import warning

DRIVER_SOURCE = "NVML usedGpuMemory of this experiment's processes, at the end of the window, summed over devices"
# What a process may take for good while it works: workspaces of the libraries, code that is loaded on first use.
# Between experiments of a two-layer model that was under 1 MB on a CPU, after the first experiment 5 MB.
FOR_GOOD_BYTES = 32 << 20
# Or this share of what was in use before, whichever is more.
FOR_GOOD_SHARE = 0.02


@dataclass(frozen=True)
class DriverMemory:
    """What this experiment's processes hold of the boards by the driver's count; None for the reason.

    Beside torch's allocator it has contexts, libraries' workspaces and recorded graphs: this is what has to fit. The
    allocator gives nothing back while a window is open, so its end shows the most.
    """

    bytes: int | None
    reason: str | None

    def to_dict(self) -> dict[str, Any]:
        return {"bytes": self.bytes, "reason": self.reason, "source": DRIVER_SOURCE}


def driver_memory(facts: Mapping[str, Any], device_uuids: Collection[str]) -> DriverMemory:
    """The memory on the boards that hold the model, from a window's facts."""
    if not device_uuids:
        return DriverMemory(None, "no GPU holds parameters of the model")
    total = 0
    for uuid in sorted(set(device_uuids)):
        board = facts.get(uuid)
        if board is None or "process_memory_bytes" not in board:
            return DriverMemory(None, f"{uuid}: no open meter asks its driver")
        if board["process_memory_bytes"] is None:
            return DriverMemory(None, f"{uuid}: {board['process_memory_reason']}")
        total += board["process_memory_bytes"]
    return DriverMemory(total, None)


class MemoryWatch:
    """Of one process and its group. Every process has to call each method, in the same order."""

    def __init__(self, devices: DeviceKind, group: Group) -> None:
        self._devices = devices
        self._group = group
        self._previous: MemoryState | None = None
        self._start: MemoryState | None = None
        self._window: MemoryState | None = None
        self._resets = True

    def begin(self) -> None:
        """Before an experiment's warm-up: give back what is free, and see what is left."""
        self._devices.release_memory()
        # Some weights are packed again on first use (4 bits on a CPU): the first is judged from its window on.
        self._previous = self._window if self._previous is None else self._start
        self._start = self._state()

    def open_window(self) -> None:
        """Right before the window, warm: what is in use is recorded, and its peak begins."""
        self._window = self._state()
        self._resets = all(self._group.gather(self._devices.reset_peak_memory()))

    def to_dict(self) -> dict[str, Any]:
        """For the record: `at_start` after everything was given back, `at_window` when the window opened."""
        assert self._start is not None and self._window is not None, "begin and open_window come first"
        return {
            "at_start": self._start.to_dict(),
            "at_window": self._window.to_dict(),
            "left_behind_bytes": self._left_behind(),
            "peak_is_of_the_window": self._resets,
        }

    def warnings(self) -> list[dict[str, str]]:
        """Where the experiment began with memory that the one before it had not given back."""
        warnings = []
        left = self._left_behind()
        if left is not None and self._previous is not None:
            allowed = max(FOR_GOOD_BYTES, FOR_GOOD_SHARE * self._previous.private_bytes)
            if left > allowed:
                warnings.append(
                    warning(
                        "memory-left-behind",
                        f"the experiment before this one in the same process left {left / 1e6:.0f} MB "
                        f"behind, more than the {allowed / 1e6:.0f} MB that libraries take for good; peak memory is "
                        "that much too high (measurement.isolation: experiment gives each a process of its own)",
                    )
                )
        if not self._resets:
            warnings.append(
                warning(
                    "peak-of-the-process",
                    "this system does not let a process reset its peak memory (/proc/self/clear_refs): "
                    "peak_memory_bytes is the highest since the process began, with the load and earlier experiments",
                )
            )
        return warnings

    def _left_behind(self) -> int | None:
        """Growth of private memory from the experiment before to this one; None for the first of a process."""
        if self._previous is None or self._start is None:
            return None
        return self._start.private_bytes - self._previous.private_bytes

    def _state(self) -> MemoryState:
        return sum_states(self._group.gather(self._devices.memory()))

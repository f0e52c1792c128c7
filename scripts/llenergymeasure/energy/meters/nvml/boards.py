"""The GPUs of this machine as NVML lists them, and the processor cores near each."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pynvml

from llenergymeasure.energy.meters.nvml.visible_devices import Board, Selection, select_boards

BITS = 64


@dataclass
class Listed:
    """Boards in PCI order, NVML's handle of each by UUID, and those that cannot be read, with the reason."""

    boards: list[Board] = field(default_factory=list)
    handles: dict[str, Any] = field(default_factory=dict)
    unreadable: list[tuple[str, str]] = field(default_factory=list)


def list_boards() -> Listed:
    """All boards; NVML must have been initialised."""
    listed = Listed()
    for index in range(pynvml.nvmlDeviceGetCount()):
        try:
            handle = pynvml.nvmlDeviceGetHandleByIndex(index)
            uuid = pynvml.nvmlDeviceGetUUID(handle)
            listed.boards.append(Board(index, uuid, pynvml.nvmlDeviceGetName(handle), _mig_enabled(handle)))
            listed.handles[uuid] = handle
        except pynvml.NVMLError as error:
            listed.unreadable.append((f"GPU {index}", str(error)))
    return listed


@dataclass(frozen=True)
class Boards:
    """What NVML knows of this machine's GPUs.

    near: UUID → cores near it, of the GPUs that CUDA will use. Where the driver does not say which cores are near, all
        that this process may use are.
    """

    selection: Selection
    near: Mapping[str, frozenset[int]]
    listed: Sequence[Board]
    unreadable: Sequence[tuple[str, str]]
    driver: str


def look_at_boards(environment: Mapping[str, str] = os.environ) -> Boards | None:
    """The GPUs of this machine, and which of them CUDA will use; None where NVML does not work."""
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return None
    try:
        listed = list_boards()
        selection = select_boards(listed.boards, environment)
        near = {board.uuid: _near_cores(listed.handles[board.uuid]) for board in selection.boards}
        return Boards(selection, near, listed.boards, listed.unreadable, pynvml.nvmlSystemGetDriverVersion())
    except pynvml.NVMLError:
        return None
    finally:
        pynvml.nvmlShutdown()


def visible_names(environment: Mapping[str, str] = os.environ) -> list[str]:
    """What the GPUs are called that CUDA will use."""
    boards = look_at_boards(environment)
    return [] if boards is None else [board.name for board in boards.selection.boards]


def _near_cores(handle: Any) -> frozenset[int]:
    allowed = frozenset(os.sched_getaffinity(0))
    words = max(allowed) // BITS + 1
    try:
        masks = pynvml.nvmlDeviceGetCpuAffinity(handle, words)
    except pynvml.NVMLError:
        return allowed
    near = {word * BITS + bit for word, mask in enumerate(masks) for bit in range(BITS) if mask >> bit & 1}
    return frozenset(near & allowed) or allowed


def _mig_enabled(handle: Any) -> bool:
    try:
        return bool(pynvml.nvmlDeviceGetMigMode(handle)[0] == pynvml.NVML_DEVICE_MIG_ENABLE)
    except pynvml.NVMLError:
        return False  # boards that know nothing of MIG

"""The processes on a board: ours and their memory, and the others that use its multiprocessors (SMs)."""

from __future__ import annotations

import statistics
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import pynvml

from llenergymeasure.energy.meters.nvml.own_processes import exists, in_first_namespace, own_processes, workers

NOT_LISTED = "the driver lists no process of this experiment on the board (a container hides process ids)"


@dataclass(frozen=True)
class OtherProcess:
    """A process that is not of this experiment.

    compute: whether it has a compute context; a desktop's compositor has none
    sm_percent: share of the time since the last look in which it kept the SMs busy; None where the driver does not
        report it
    """

    pid: int
    compute: bool
    sm_percent: float | None
    memory_bytes: int | None


@dataclass(frozen=True)
class BoardProcesses:
    """What the driver said at one moment.

    ids_visible: whether its process ids are those seen from here; else `others` is empty and `hidden` counts all
    own_memory_bytes: what the processes of this experiment hold on the board, with their contexts; else a reason
    seen_until_us: the time stamp of the newest sample of SM use, for the next look
    """

    ids_visible: bool
    others: tuple[OtherProcess, ...]
    hidden: int
    own_memory_bytes: int | None
    own_memory_reason: str | None
    seen_until_us: int


def board_processes(handle: Any, seen_until_us: int) -> BoardProcesses:
    """Processes on the board now, and their use of the SMs since `seen_until_us`.

    Raises:
        pynvml.NVMLError: the driver lists no processes here.
    """
    compute, graphics = _listed(handle)
    listed = {**graphics, **compute}
    use = _sm_use(handle, seen_until_us)
    users = {} if use is None else {pid: statistics.fmean(percents) for pid, (percents, _) in use.items()}
    until_us = max([seen_until_us, *(newest_us for _, newest_us in (use or {}).values())])
    own = own_processes()
    # From inside a container the ids may be the host's, and some may by chance be those of processes in here, the more
    # since ids in here are small: only a process that has a context says that they are ours.
    if in_first_namespace():
        ids_visible = bool(own & listed.keys()) or all(exists(pid) for pid in listed)
    else:
        ids_visible = bool(workers() & listed.keys())
    others = {*listed, *users} - own if ids_visible else set()
    memory = [listed[pid] for pid in own & listed.keys()] if ids_visible else []
    known = [bytes_held for bytes_held in memory if bytes_held is not None]
    return BoardProcesses(
        ids_visible=ids_visible,
        others=tuple(
            OtherProcess(pid, pid in compute, None if use is None else users.get(pid, 0.0), listed.get(pid))
            for pid in sorted(others)
        ),
        hidden=0 if ids_visible else len(listed),
        own_memory_bytes=sum(known) if memory and len(known) == len(memory) else None,
        own_memory_reason=NOT_LISTED if not memory else None if len(known) == len(memory) else "the driver keeps it",
        seen_until_us=until_us,
    )


def _listed(handle: Any) -> tuple[dict[int, int | None], dict[int, int | None]]:
    """Bytes by process id, of compute and of graphics; drivers before 510 know only the second version of the calls."""
    try:
        compute = pynvml.nvmlDeviceGetComputeRunningProcesses_v3(handle)
        graphics = pynvml.nvmlDeviceGetGraphicsRunningProcesses_v3(handle)
    except pynvml.NVMLError_FunctionNotFound:
        compute = pynvml.nvmlDeviceGetComputeRunningProcesses_v2(handle)
        graphics = pynvml.nvmlDeviceGetGraphicsRunningProcesses_v2(handle)
    return _bytes_by_pid(compute), _bytes_by_pid(graphics)


def _bytes_by_pid(processes: Any) -> dict[int, int | None]:
    return {
        int(process.pid): None if process.usedGpuMemory is None else int(process.usedGpuMemory) for process in processes
    }


def _sm_use(handle: Any, seen_until_us: int) -> dict[int, tuple[list[int], int]] | None:
    """Samples of SM use in percent and the newest one's time stamp, by process id; None where the board has none."""
    try:
        samples = pynvml.nvmlDeviceGetProcessUtilization(handle, seen_until_us)
    except pynvml.NVMLError_NotFound:
        return {}
    except pynvml.NVMLError:
        return None
    percents: dict[int, list[int]] = defaultdict(list)
    newest_us: dict[int, int] = defaultdict(int)
    for sample in samples:
        # The buffer may hold places that were not filled.
        if sample.timeStamp > seen_until_us:
            percents[int(sample.pid)].append(int(sample.smUtil))
            newest_us[int(sample.pid)] = max(newest_us[int(sample.pid)], int(sample.timeStamp))
    return {pid: (used, newest_us[pid]) for pid, used in percents.items()}

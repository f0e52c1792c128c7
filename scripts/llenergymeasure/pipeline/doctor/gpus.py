"""The GPUs as the meters and the placement of jobs see them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pynvml

from llenergymeasure.config.problems.text import first_few
from llenergymeasure.energy.clock import CLOCK
from llenergymeasure.energy.meters.nvml.board import cuda_driver_version
from llenergymeasure.energy.meters.nvml.boards import list_boards, look_at_boards
from llenergymeasure.energy.meters.nvml.device import NvmlDevice
from llenergymeasure.energy.meters.nvml.findings import limit_is_lowered, uses_sms
from llenergymeasure.energy.meters.nvml.processes import BoardProcesses, OtherProcess
from llenergymeasure.energy.meters.nvml.state import BoardState
from llenergymeasure.energy.meters.nvml.visible_devices import MIG_REASON
from llenergymeasure.pipeline.device_check import device_problems, notes
from llenergymeasure.pipeline.doctor.configured import Configured
from llenergymeasure.pipeline.doctor.table import Row

DRIVER_MODULE = Path("/proc/driver/nvidia/version")


def gpu_rows(configured: Configured) -> Iterator[Row]:
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        yield _no_nvml(error)
        return
    try:
        listed = list_boards()
        yield Row("NVIDIA driver", f"{pynvml.nvmlSystemGetDriverVersion()}, for CUDA {cuda_driver_version()}")
        for board in listed.boards:
            yield _board(NvmlDevice(board, listed.handles[board.uuid], CLOCK))
        for name, reason in listed.unreadable:
            yield Row(name, f"cannot be read: {reason}", "warning", "read the driver's log: `dmesg`")
        if not listed.boards and not listed.unreadable:
            yield Row("GPUs", "the driver lists none")
    finally:
        pynvml.nvmlShutdown()
    boards = look_at_boards()
    problems = device_problems(boards, os.environ, configured.claims())
    for problem in problems:
        yield Row("GPUs of the study", problem, "problem")
    # Boards with MIG have said so in their own rows.
    shown = [board.uuid for board in listed.boards if board.mig_enabled]
    for note in [] if problems else notes(boards):
        if not note.startswith(tuple(f"{uuid} " for uuid in shown)):
            yield Row("choice of GPUs", note, "warning", "name GPUs by UUID in CUDA_VISIBLE_DEVICES, or use whole GPUs")


def _no_nvml(error: pynvml.NVMLError) -> Row:
    if not DRIVER_MODULE.exists():
        return Row("GPUs", f"no NVIDIA driver here ({error}): models run on the processor")
    return Row(
        "GPUs",
        f"the driver's module is loaded and NVML does not start: {error}",
        "problem",
        "restart the machine after an update of the driver; in a container, pass the GPUs (`docker run --gpus all`, "
        "`apptainer run --nv`)",
    )


def _board(device: NvmlDevice) -> Row:
    state = device.state()
    facts: dict[str, Any] = device.describe()["board"]
    doubts = [*_doubts(device, state)]
    counter = "total-energy counter" if not device.counter_missing else "no total-energy counter"
    words = [device.board.name, *_facts(facts), counter]
    if state.processes is not None:
        words.append(_in_use(state.processes))
    name = f"GPU {device.board.index}"
    return Row(name, ", ".join(words), "warning" if doubts else "ok", "; ".join(doubts))


def _facts(facts: dict[str, Any]) -> Iterator[str]:
    if facts["memory_bytes"] is not None:
        yield f"{facts['memory_bytes'] / 2**30:.0f} GiB"
    if facts["power_limit_w"] is not None:
        yield f"limit {facts['power_limit_w']:.0f} W"
    for name, words in (("ecc_mode", "ECC"), ("persistence_mode", "persistence"), ("mig_mode", "MIG")):
        if facts[name] is not None:
            yield f"{words} {'on' if facts[name] else 'off'}"


def _in_use(processes: BoardProcesses) -> str:
    if not processes.ids_visible:
        return f"{processes.hidden} processes that cannot be seen from here" if processes.hidden else "free"
    if disturbing := [other for other in processes.others if _disturbs(other)]:
        return f"used by {first_few([_name(other) for other in disturbing])}"
    if holding := [other for other in processes.others if other.compute]:
        return f"memory held by {first_few([_name(other) for other in holding])}"
    return "free"


def _doubts(device: NvmlDevice, state: BoardState) -> Iterator[str]:
    """What is wrong with a board, and what to do about it."""
    index, processes = device.board.index, state.processes
    if device.board.mig_enabled:
        yield f"{MIG_REASON} (`sudo nvidia-smi -i {index} -mig 0`)"
    if device.counter_missing and device.power_missing:
        yield f"its energy cannot be measured: {device.power_missing}"
    elif device.counter_missing:
        yield f"power is integrated instead of counted ({device.counter_missing}): a larger uncertainty"
    if state.persistence_mode is False:
        yield f"the driver lets go of it between jobs: `sudo nvidia-smi -i {index} -pm 1`"
    if limit_is_lowered(state):
        default_w = state.power_limit_default_w or 0.0
        yield f"runs that reach the lowered power limit are suspect: `sudo nvidia-smi -i {index} -pl {default_w:.0f}`"
    if processes is not None and (processes.hidden or any(_disturbs(other) for other in processes.others)):
        yield "runs beside other programs on the board are suspect: end them, or reserve it"


def _disturbs(other: OtherProcess) -> bool:
    """As in a window: who computes, or may compute unseen. A compositor, or a notebook that waits, does not."""
    return uses_sms(other) or (other.compute and other.sm_percent is None)


def _name(other: OtherProcess) -> str:
    try:
        return f"process {other.pid} ({psutil.Process(other.pid).name()})"
    except psutil.Error:
        return f"process {other.pid}"

"""How fast this machine's devices can be, with how much memory and power: by the driver or a trial of a moment."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import psutil
import pynvml

from llenergymeasure.energy.meters.nvml.boards import list_boards, look_at_boards

# The shares of a board's bandwidth and of its peak that transformers reaches, in decoding and in prefill.
BANDWIDTH_SHARE, PEAK_SHARE = 0.6, 0.4
# The share of its power limit that a board draws while a model runs.
POWER_SHARE = 0.6
# The library's Python takes this long per layer and pass: a step of 16 layers takes 19.3 ms on an H100
# (docs/measured.md).
GPU_LAYER_S, CPU_LAYER_S = 1e-3, 3e-4
# Watts per core of a busy processor, of codecarbon's order for processors that it does not know.
WATTS_PER_CORE = 5.0
# Dense FLOPs of 16-bit matrix units over those of the 32-bit cores, by compute capability: from the peaks in NVIDIA's
# data sheets of V100, T4, A100, A40, L4, H100 and B200. Other boards: 4.
MATRIX_SPEEDUP: Mapping[tuple[int, int], float] = {
    (7, 0): 8.0,
    (7, 5): 8.0,
    (8, 0): 16.0,
    (8, 6): 4.0,
    (8, 9): 4.0,
    (9, 0): 14.8,
    (10, 0): 30.0,
}
_TRIAL_BYTES = 2**26
_TRIAL_SIDE = 768


@dataclass(frozen=True)
class Hardware:
    """One device. bandwidth: bytes per second; flops: per second, by `precision`; layer_s: seconds of Python per layer

    memory_bytes: the whole of a board, what is free of the machine's. None: not known
    """

    name: str
    is_gpu: bool
    memory_bytes: int | None
    bandwidth: float | None
    flops: Mapping[str, float]
    power_w: float | None
    layer_s: float


def first_board(environment: Mapping[str, str] = os.environ) -> Hardware | None:
    """The first GPU that CUDA will use, by what its driver says; None where there is none."""
    boards = look_at_boards(environment)
    if boards is None or not boards.selection.boards:
        return None
    board = boards.selection.boards[0]
    pynvml.nvmlInit()
    try:
        return _read_board(list_boards().handles[board.uuid], board.name)
    finally:
        pynvml.nvmlShutdown()


def _read_board(handle: object, name: str) -> Hardware:
    memory = _asked(lambda: int(pynvml.nvmlDeviceGetMemoryInfo(handle).total))
    # Two transfers per clock, as data sheets count: 2,619 MHz × 5,120 bits are 3.35 TB/s of an H100.
    bandwidth = _asked(
        lambda: 2e6 * pynvml.nvmlDeviceGetMaxClockInfo(handle, pynvml.NVML_CLOCK_MEM)
        * pynvml.nvmlDeviceGetMemoryBusWidth(handle) / 8
    )  # fmt: skip
    fp32 = _asked(
        lambda: 2e6 * pynvml.nvmlDeviceGetMaxClockInfo(handle, pynvml.NVML_CLOCK_SM)
        * pynvml.nvmlDeviceGetNumGpuCores(handle)
    )  # fmt: skip
    capability = _asked(lambda: tuple(pynvml.nvmlDeviceGetCudaComputeCapability(handle)))
    power = _asked(lambda: pynvml.nvmlDeviceGetEnforcedPowerLimit(handle) / 1e3)
    half = None if fp32 is None else fp32 * MATRIX_SPEEDUP.get(capability or (0, 0), 4.0)
    flops = {} if half is None or fp32 is None else {"fp32": fp32, "fp16": half, "bf16": half}
    return Hardware(
        name=name,
        is_gpu=True,
        memory_bytes=memory,
        bandwidth=None if not bandwidth else bandwidth * BANDWIDTH_SHARE,
        flops={precision: peak * PEAK_SHARE for precision, peak in flops.items()},
        power_w=None if power is None else power * POWER_SHARE,
        layer_s=GPU_LAYER_S,
    )


def _asked(question: Callable[[], Any]) -> Any:
    """The driver's answer; None where it has none."""
    try:
        return question()
    except pynvml.NVMLError:
        return None


def processor(precisions: frozenset[str]) -> Hardware:
    """This machine's processor, by a copy of 64 MiB and a product of two matrices per number format: a moment each."""
    cores = len(os.sched_getaffinity(0))
    return Hardware(
        name=f"this processor, {cores} cores",
        is_gpu=False,
        memory_bytes=psutil.virtual_memory().available,
        bandwidth=_copy_speed(),
        flops={precision: _product_speed(precision) for precision in precisions},
        power_w=cores * WATTS_PER_CORE,
        layer_s=CPU_LAYER_S,
    )


def _copy_speed() -> float:
    """Bytes read and written per second."""
    source = np.ones(_TRIAL_BYTES, dtype=np.uint8)
    target = np.empty_like(source)
    return 2 * _TRIAL_BYTES / _shortest_s(lambda: np.copyto(target, source))


def _product_speed(precision: str) -> float:
    import torch

    kind = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}[precision]
    factor = torch.ones((_TRIAL_SIDE, _TRIAL_SIDE), dtype=kind)
    return 2 * _TRIAL_SIDE**3 / _shortest_s(lambda: factor @ factor)


def _shortest_s(work: Callable[[], object]) -> float:
    """Of three times; the first one also warms up."""
    times = []
    for _ in range(3):
        begun = time.perf_counter()
        work()
        times.append(time.perf_counter() - begun)
    return min(times)

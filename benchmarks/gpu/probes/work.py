"""Work that keeps the board busy while something else is looked at."""

from __future__ import annotations

import ctypes
import itertools
import threading
import time
from abc import ABC, abstractmethod
from functools import cache
from typing import Any

from benchmarks.gpu.scale import Scale

# What the simulated board of a rehearsal draws.
SIMULATED_IDLE_W, SIMULATED_BUSY_W = 80.0, 320.0


class Work(ABC):
    """Keeps the board busy between `start` and `finish`; the edges are `perf_counter` seconds."""

    def __init__(self) -> None:
        self.started_s = 0.0
        self.ended_s = 0.0

    @abstractmethod
    def start(self) -> None: ...

    @abstractmethod
    def finish(self) -> None: ...


class Products(Work):
    """Products of square matrices, launched from a thread of their own."""

    def __init__(self, side: int) -> None:
        super().__init__()
        self._matrix = _matrix(side)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        self._thread.start()
        while self.started_s == 0.0:
            time.sleep(1e-4)

    def finish(self) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        import torch

        torch.cuda.set_device(self._matrix.device)  # a new thread has no CUDA context, and cuBLAS warns of that
        self.started_s = time.perf_counter()
        while not self._stop.is_set():
            for _ in range(4):
                self._matrix @ self._matrix
            torch.cuda.synchronize()
        self.ended_s = time.perf_counter()


class SimulatedStep(Work):
    """A step in what the simulated board draws; the processor does nothing."""

    edges_s: tuple[float, ...] = ()

    def start(self) -> None:
        self.started_s = time.perf_counter()
        self._draw(self.started_s)

    def finish(self) -> None:
        self.ended_s = time.perf_counter()
        self._draw(self.ended_s)

    def _draw(self, edge_s: float) -> None:
        """Tell the library everything drawn so far, as straight lines between points, with one more step."""
        SimulatedStep.edges_s = (*SimulatedStep.edges_s, edge_s)
        times_s, watts = [SimulatedStep.edges_s[0] - 1e4], [SIMULATED_IDLE_W]
        levels = itertools.cycle([SIMULATED_BUSY_W, SIMULATED_IDLE_W])
        for each_s, level in zip(SimulatedStep.edges_s, levels, strict=False):
            times_s += [each_s, each_s + 1e-6]
            watts += [watts[-1], level]
        times_s.append(edge_s + 1e4)
        watts.append(watts[-1])
        doubles = ctypes.c_double * len(times_s)
        library = ctypes.CDLL("libnvidia-ml.so.1")
        library.sim_set_trace(0, len(times_s), doubles(*times_s), doubles(*watts))


def work(scale: Scale, side: int) -> Work:
    """New work, not yet begun; `side` is what decides the board's power."""
    return SimulatedStep() if scale.rehearsal else Products(side)


@cache
def _matrix(side: int) -> Any:
    import torch

    matrix = torch.randn(side, side, device="cuda", dtype=torch.bfloat16)
    matrix @ matrix  # the first product loads its library
    torch.cuda.synchronize()
    return matrix

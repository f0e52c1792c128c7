"""The one clock of windows, ticks and samples. It is monotonic, so that a step of the wall clock changes nothing."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Protocol


class Clock(Protocol):
    """Seconds from an arbitrary start, and the two ways of letting time pass.

    across_processes: another process of this machine reads the same time
    """

    @property
    def across_processes(self) -> bool: ...

    def now_s(self) -> float: ...

    def sleep(self, seconds: float) -> None: ...

    def wait_for(self, changed: threading.Condition, predicate: Callable[[], bool], timeout_s: float | None) -> bool:
        """Wait, holding `changed`, until the predicate holds (True) or the time is over (its last answer)."""
        ...


class MonotonicClock:
    """`time.perf_counter`, which is Linux's CLOCK_MONOTONIC."""

    across_processes = True

    def now_s(self) -> float:
        return time.perf_counter()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    def wait_for(self, changed: threading.Condition, predicate: Callable[[], bool], timeout_s: float | None) -> bool:
        return changed.wait_for(predicate, timeout_s)


CLOCK = MonotonicClock()

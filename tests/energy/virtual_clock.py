"""A clock that runs as fast as the threads that sleep by it allow."""

from __future__ import annotations

import heapq
import itertools
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

# The clock is not notified when a thread starts or ends: sleepers check again after this many real seconds.
LOOK_AGAIN_S = 0.002


@dataclass(order=True)
class _Sleeper:
    wake_s: float
    turn: int
    woken: threading.Event = field(default_factory=threading.Event, compare=False)
    predicate: Callable[[], bool] | None = field(default=None, compare=False)


class VirtualClock:
    """Time stands still while a thread works; when all sleep, it jumps to the earliest sleeper's time.

    All threads: the main one and those whose name begins with one of `names`. `on_time` is called with each new time.
    """

    across_processes = False

    def __init__(self, start_s: float, on_time: Callable[[float], object], names: tuple[str, ...] = ("power-sampler",)):
        self._now_s = start_s
        self._on_time = on_time
        self._names = names
        self._lock = threading.Lock()
        self._sleepers: list[_Sleeper] = []
        self._turns = itertools.count()
        on_time(start_s)

    def now_s(self) -> float:
        return self._now_s

    def sleep(self, seconds: float) -> None:
        self._block(self._now_s + max(0.0, seconds), None)

    def wait_for(self, changed: threading.Condition, predicate: Callable[[], bool], timeout_s: float | None) -> bool:
        deadline_s = float("inf") if timeout_s is None else self._now_s + timeout_s
        while not predicate() and self._now_s < deadline_s:
            changed.release()
            try:
                self._block(deadline_s, predicate)
            finally:
                changed.acquire()
        return predicate()

    def _block(self, wake_s: float, predicate: Callable[[], bool] | None) -> None:
        sleeper = _Sleeper(wake_s, next(self._turns), predicate=predicate)
        with self._lock:
            heapq.heappush(self._sleepers, sleeper)
        while not sleeper.woken.is_set():
            with self._lock:
                if not sleeper.woken.is_set() and len(self._sleepers) >= self._threads():
                    self._wake_next()
            if not sleeper.woken.is_set() and not sleeper.woken.wait(LOOK_AGAIN_S):
                self._look_again(sleeper)

    def _look_again(self, sleeper: _Sleeper) -> None:
        """What it waits for may have come true while another thread waits for it outside this clock."""
        with self._lock:
            if not sleeper.woken.is_set() and sleeper.predicate is not None and sleeper.predicate():
                self._sleepers.remove(sleeper)
                heapq.heapify(self._sleepers)
                sleeper.woken.set()

    def _wake_next(self) -> None:
        """Everybody sleeps: wake one whose predicate has come true, else the earliest, at its time."""
        chosen = next(
            (sleeper for sleeper in self._sleepers if sleeper.predicate is not None and sleeper.predicate()), None
        )
        if chosen is None:
            chosen = self._sleepers[0]
            if chosen.wake_s == float("inf"):
                return
            self._now_s = max(self._now_s, chosen.wake_s)
            self._on_time(self._now_s)
        self._sleepers.remove(chosen)
        heapq.heapify(self._sleepers)
        chosen.woken.set()

    def _threads(self) -> int:
        main = threading.main_thread()
        return sum(thread is main or thread.name.startswith(self._names) for thread in threading.enumerate())

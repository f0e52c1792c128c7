"""An energy counter moves in steps: finding their period, and waiting for the next one."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise

POLL_S = 0.0005
CHARACTERISE_S = 0.6  # six steps of the slowest update period seen on recent boards, 100 ms
CHARACTERISE_TICKS = 6


@dataclass(frozen=True)
class Reading:
    """A counter's value in millijoules and when it held; `resolution_s` is how well that moment is known."""

    millijoules: int
    time_s: float
    resolution_s: float
    on_tick: bool


def read_now(read: Callable[[], int]) -> Reading:
    """Read the counter wherever it stands between two ticks."""
    before_s = time.perf_counter()
    millijoules = read()
    after_s = time.perf_counter()
    return Reading(millijoules, after_s, after_s - before_s, on_tick=False)


def wait_for_tick(read: Callable[[], int], timeout_s: float) -> Reading:
    """Poll until the counter moves; without a tick in `timeout_s` seconds, the last reading it gave."""
    latest = read_now(read)
    deadline_s = latest.time_s + timeout_s
    while latest.time_s < deadline_s:
        time.sleep(POLL_S)
        previous, latest = latest, read_now(read)
        if latest.millijoules != previous.millijoules:
            # It moved somewhere between the two readings: the middle is the best estimate.
            uncertain_s = latest.time_s - previous.time_s
            return Reading(latest.millijoules, latest.time_s - uncertain_s / 2, uncertain_s, on_tick=True)
    return latest


def characterise(counters: Mapping[str, Callable[[], int]]) -> dict[str, float | None]:
    """Update period of each counter in seconds; None where `CHARACTERISE_S` shows fewer than two ticks."""
    values = {name: read() for name, read in counters.items()}
    ticks_s: dict[str, list[float]] = {name: [] for name in counters}
    deadline_s = time.perf_counter() + CHARACTERISE_S
    while time.perf_counter() < deadline_s:
        if all(len(seen) >= CHARACTERISE_TICKS for seen in ticks_s.values()):
            break
        time.sleep(POLL_S)
        for name, read in counters.items():
            value = read()
            if value != values[name]:
                values[name] = value
                ticks_s[name].append(time.perf_counter())
    return {name: _period(seen) for name, seen in ticks_s.items()}


def _period(ticks_s: list[float]) -> float | None:
    intervals = [later - earlier for earlier, later in pairwise(ticks_s)]
    return statistics.median(intervals) if intervals else None

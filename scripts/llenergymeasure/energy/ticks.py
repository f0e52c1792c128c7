"""An energy counter moves in steps: finding their period, and waiting for the next one."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise

from llenergymeasure.energy.clock import Clock

POLL_S = 0.0005
CHARACTERISE_S = 0.6  # six steps of the slowest update period seen on recent boards, 100 ms

Counter = Callable[[], int]  # millijoules, or CounterFailed


class CounterFailed(Exception):
    """The counter gave no value; `lost` where the whole device is gone."""

    def __init__(self, reason: str, *, lost: bool = False) -> None:
        super().__init__(reason)
        self.lost = lost


@dataclass(frozen=True)
class Reading:
    """A counter's value in millijoules and when it held; `resolution_s` is how well that moment is known."""

    millijoules: int
    time_s: float
    resolution_s: float
    on_tick: bool


@dataclass(frozen=True)
class Period:
    """How a counter ticks: the mean time between ticks and their typical deviation from it, in seconds."""

    period_s: float
    spread_s: float


def read_now(read: Counter, clock: Clock) -> Reading:
    """Read the counter wherever it stands between two ticks. Raises CounterFailed."""
    before_s = clock.now_s()
    millijoules = read()
    after_s = clock.now_s()
    return Reading(millijoules, after_s, after_s - before_s, on_tick=False)


def try_now(read: Counter, clock: Clock) -> Reading | CounterFailed:
    """As `read_now`; a failure is an answer."""
    try:
        return read_now(read, clock)
    except CounterFailed as failure:
        return failure


def next_ticks(
    counters: Mapping[str, Counter], clock: Clock, timeout_s: float, *, leader: str | None = None
) -> dict[str, Reading | CounterFailed]:
    """Poll until every counter has moved; without `leader`, its first tick is a counter's answer.

    With `leader` the polling ends at a tick of that counter, the first at which all others have ticked too, and the
    answer of the others is their last tick before. A counter that does not tick within `timeout_s` seconds answers with
    its last reading, not on a tick; one that fails with its failure.
    """
    latest = {name: try_now(read, clock) for name, read in counters.items()}
    ticks: dict[str, Reading | CounterFailed] = {}
    deadline_s = clock.now_s() + timeout_s
    while clock.now_s() < deadline_s:
        clock.sleep(POLL_S)
        moved = set()
        for name, read in counters.items():
            previous = latest[name]
            if isinstance(previous, CounterFailed) or (leader is None and name in ticks):
                continue
            latest[name] = now = try_now(read, clock)
            if isinstance(now, Reading) and now.millijoules != previous.millijoules:
                # It moved somewhere between the two readings: the middle is the best estimate.
                uncertain_s = now.time_s - previous.time_s
                ticks[name] = Reading(now.millijoules, now.time_s - uncertain_s / 2, uncertain_s, on_tick=True)
                moved.add(name)
        settled = all(name in ticks or isinstance(latest[name], CounterFailed) for name in counters)
        if settled and (leader is None or leader in moved or isinstance(latest[leader], CounterFailed)):
            break
    failed = {name: answer for name, answer in latest.items() if isinstance(answer, CounterFailed)}
    return {**latest, **ticks, **failed}


def characterise(counters: Mapping[str, Counter], clock: Clock) -> dict[str, Period | None]:
    """How each counter ticks; None where `CHARACTERISE_S` shows fewer than two ticks or it fails."""
    values = {name: try_now(read, clock) for name, read in counters.items()}
    ticks_s: dict[str, list[float]] = {name: [] for name in counters}
    deadline_s = clock.now_s() + CHARACTERISE_S
    while clock.now_s() < deadline_s:
        clock.sleep(POLL_S)
        for name, read in counters.items():
            before, now = values[name], try_now(read, clock)
            if isinstance(before, Reading) and isinstance(now, Reading) and now.millijoules != before.millijoules:
                ticks_s[name].append((before.time_s + now.time_s) / 2)
            values[name] = now
    return {name: _period(seen) for name, seen in ticks_s.items()}


def _period(ticks_s: list[float]) -> Period | None:
    intervals_s = [later - earlier for earlier, later in pairwise(ticks_s)]
    if not intervals_s:
        return None
    typical_s = statistics.median(intervals_s)
    # A stall of the polling thread may hide ticks: an interval of three periods is three intervals.
    count = sum(max(1, round(interval_s / typical_s)) for interval_s in intervals_s)
    period_s = (ticks_s[-1] - ticks_s[0]) / count
    return Period(period_s, _spread(abs(interval_s - typical_s) for interval_s in intervals_s))


def _spread(deviations_s: Iterable[float]) -> float:
    """Standard deviation from the median absolute deviation, which single stalls leave alone."""
    return 1.4826 * statistics.median(deviations_s)

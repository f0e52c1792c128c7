"""An energy counter moves in steps: reading it, and when its ticks were."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from llenergymeasure.energy.clock import Clock

POLL_S = 0.002
# Six ticks of the slowest update period seen on recent boards, 100 ms; boards that tick more slowly when idle get more.
CHARACTERISE_S, LONGEST_CHARACTERISE_S = 0.6, 3.0
FEWEST_TICKS = 6
# The longest interval, in periods, whose number of periods can still be counted.
LONGEST_INTERVAL = 4.5

Counter = Callable[[], int]  # millijoules, or CounterFailed


class CounterFailed(Exception):
    """The counter gave no value; `lost` where the whole device is gone."""

    def __init__(self, reason: str, *, lost: bool = False) -> None:
        super().__init__(reason)
        self.lost = lost


@dataclass(frozen=True)
class CounterReading:
    """A counter's value in millijoules, or why there is none.

    time_s: the middle of the call, which took `took_s` seconds; the value is that of any moment within it
    """

    time_s: float
    took_s: float
    millijoules: int | None
    error: str | None = None
    lost: bool = False


@dataclass(frozen=True)
class SeenTick:
    """A move of the counter between two readings.

    time_s: the middle between the two; width_s: the time between them
    deviation_s: standard deviation of the time
    """

    time_s: float
    width_s: float
    deviation_s: float
    before_mj: int
    after_mj: int


@dataclass(frozen=True)
class Period:
    """How a counter ticks, in seconds.

    period_s: the mean time between ticks
    spread_s: the typical deviation from it, without what the polling adds
    error_s: how well the mean is known, one standard deviation
    """

    period_s: float
    spread_s: float
    error_s: float = 0.0


def read_counter(read: Counter, clock: Clock) -> CounterReading:
    """Read the counter now; a failure is returned, not raised."""
    before_s = clock.now_s()
    millijoules, error, lost = None, None, False
    try:
        millijoules = read()
    except CounterFailed as failure:
        error, lost = str(failure), failure.lost
    after_s = clock.now_s()
    return CounterReading((before_s + after_s) / 2, after_s - before_s, millijoules, error, lost)


def seen_ticks(readings: Sequence[CounterReading]) -> list[SeenTick]:
    """The moves of the counter between successive readings; failed readings are gaps."""
    good = [(reading, reading.millijoules) for reading in readings if reading.millijoules is not None]
    return [
        _tick_between(earlier, before_mj, later, after_mj)
        for (earlier, before_mj), (later, after_mj) in pairwise(good)
        if after_mj > before_mj
    ]


def _tick_between(earlier: CounterReading, before_mj: int, later: CounterReading, after_mj: int) -> SeenTick:
    """The tick lies anywhere between two readings, each of which was taken anywhere within its call."""
    width_s = later.time_s - earlier.time_s
    variance_s2 = width_s**2 / 12 + (earlier.took_s**2 + later.took_s**2) / 36
    return SeenTick((earlier.time_s + later.time_s) / 2, width_s, math.sqrt(variance_s2), before_mj, after_mj)


def fine_ticks(ticks: Sequence[SeenTick], period_s: float | None) -> list[SeenTick]:
    """Those whose time is known well for this counter: the counter was polled around them."""
    if not ticks:
        return []
    # Two readings may follow each other closely by chance: nothing is polled for more finely than `POLL_S`.
    widest_s = max(3 * POLL_S, 2 * min(tick.width_s for tick in ticks))
    if period_s is not None:
        widest_s = min(0.75 * period_s, max(0.25 * period_s, widest_s))
    return [tick for tick in ticks if tick.width_s <= widest_s]


def estimate_period(ticks: Sequence[SeenTick]) -> Period | None:
    """The period of ticks that were polled for, which may have long gaps between them; None for fewer than two."""
    intervals_s = [later.time_s - earlier.time_s for earlier, later in pairwise(ticks)]
    if not intervals_s:
        return None
    # With only a few, one may be the time from one edge of a window to the other.
    typical_s = statistics.median_low(intervals_s)
    # A stall of the polling may hide ticks: an interval of three periods is three intervals.
    counted = [
        (interval_s, max(1, round(interval_s / typical_s)), earlier.deviation_s, later.deviation_s)
        for interval_s, (earlier, later) in zip(intervals_s, pairwise(ticks), strict=True)
        if interval_s < LONGEST_INTERVAL * typical_s
    ]
    many = sum(count for _, count, _, _ in counted)
    period_s = math.fsum(interval_s for interval_s, _, _, _ in counted) / many
    deviation_s = _spread([interval_s - count * period_s for interval_s, count, _, _ in counted])
    polling_s2 = statistics.fmean(earlier_s**2 + later_s**2 for _, _, earlier_s, later_s in counted)
    # The scatter of a few intervals is not well known itself: what the polling explains is not irregularity.
    explained_s2 = polling_s2 * (1 + 4 * math.sqrt(2 / len(counted)))
    spread_s = math.sqrt(deviation_s**2 - polling_s2) if deviation_s**2 > explained_s2 else 0.0
    sections = 1 + len(intervals_s) - len(counted)
    error_s = math.sqrt(sections * polling_s2 + spread_s**2 * many) / many
    return Period(period_s, spread_s, error_s)


def _spread(deviations_s: Sequence[float]) -> float:
    """Root mean square of deviations, without the single stalls among them: beyond four robust standard deviations."""
    widest_s = 4 * 1.4826 * statistics.median(abs(deviation_s) for deviation_s in deviations_s)
    kept_s = [deviation_s for deviation_s in deviations_s if abs(deviation_s) <= widest_s]
    return math.sqrt(statistics.fmean(deviation_s**2 for deviation_s in kept_s))


def mean_tick(ticks: Sequence[SeenTick], period_s: float) -> tuple[float, float]:
    """One tick of a regular counter, from several that were seen close together: its time and standard deviation.

    Near their middle, where an error of the period matters least.
    """
    numbers = [round((tick.time_s - ticks[0].time_s) / period_s) for tick in ticks]
    middle = statistics.fmean(numbers)
    time_s = statistics.fmean(tick.time_s for tick in ticks) + (round(middle) - middle) * period_s
    return time_s, max(tick.deviation_s for tick in ticks) / math.sqrt(len(ticks))


def characterise(counters: Mapping[str, Counter], clock: Clock) -> dict[str, Period | None]:
    """How each counter ticks on the board as it is now; None for one that shows fewer than two ticks or fails.

    Polls until all have shown `FEWEST_TICKS` ticks, for at least `CHARACTERISE_S` and at most `LONGEST_CHARACTERISE_S`
    seconds.
    """
    readings = {name: [read_counter(read, clock)] for name, read in counters.items()}
    moves = dict.fromkeys(counters, 0)
    for _ in _polling(clock, moves):
        for name, read in counters.items():
            now, previous = read_counter(read, clock), readings[name][-1]
            moved = now.millijoules is not None and previous.millijoules is not None
            moves[name] += moved and now.millijoules != previous.millijoules
            readings[name].append(now)
    return {name: estimate_period(seen_ticks(taken)) for name, taken in readings.items()}


def _polling(clock: Clock, moves: Mapping[str, int]) -> Iterator[None]:
    begun_s = clock.now_s()
    while moves and clock.now_s() - begun_s < LONGEST_CHARACTERISE_S:
        if clock.now_s() - begun_s >= CHARACTERISE_S and min(moves.values()) >= FEWEST_TICKS:
            return
        clock.sleep(POLL_S)
        yield

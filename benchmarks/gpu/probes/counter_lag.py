"""How late the counter follows the load, and how long the board takes to be idle again.

The load steps up and down twice while counter and power are polled. Joules over seconds are a straight line before and
after a step, and the two lines cross where the counter thinks that the step was. That is later than the step by the
counter's lag plus what the board itself takes to draw the new power, so each figure is an upper bound of the lag. The
power reading crosses later by that ramp too: a lag of the counter beyond that is not the ramp.
"""

from __future__ import annotations

import itertools
import statistics
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.gpu.probes.board import counter_j, limit_w, power_source
from benchmarks.gpu.probes.work import work
from benchmarks.gpu.scale import Scale

# Rows of the products that make the load: it must stay below the power limit.
STEP_SIDE = 2048
# Ignored after a step, while clocks and power settle.
TRANSITION_S = 0.6
# The last second of the trace says what idle power is; it has settled when power stays this near to it.
SETTLED = 0.02
MEAN_OVER_S = 0.25


@dataclass(frozen=True)
class Reading:
    """One poll: `perf_counter` seconds in the middle of the call, the counter in joules, power in watts."""

    time_s: float
    counter_j: float
    power_w: float


class Poller:
    """Reads counter and power as fast as they answer, in a thread."""

    def __init__(self) -> None:
        self.readings: list[Reading] = []
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def finish(self) -> list[Reading]:
        self._done.set()
        self._thread.join()
        return self.readings

    def _run(self) -> None:
        read_power = power_source().read
        while not self._done.is_set():
            before_s = time.perf_counter()
            joules = counter_j()
            middle_s = (before_s + time.perf_counter()) / 2
            self.readings.append(Reading(middle_s, joules, read_power()))
            time.sleep(2e-4)  # the thread that keeps the board busy needs the interpreter too


def step_response(scale: Scale) -> dict[str, Any]:
    work(scale, STEP_SIDE)  # what it needs is there before anything is timed
    time.sleep(scale.settle_s / 2)
    poller = Poller()
    time.sleep(scale.idle_s)
    busy_s: list[tuple[float, float]] = []
    for pause_s in (scale.idle_s, scale.settle_s):
        step = work(scale, STEP_SIDE)
        step.start()
        time.sleep(scale.busy_s)
        step.finish()
        busy_s.append((step.started_s, step.ended_s))
        time.sleep(pause_s)
    readings = poller.finish()
    seconds = readings[-1].time_s - readings[0].time_s
    return {
        **lags(readings, busy_s),
        **settling(readings, busy_s[-1][1]),
        "limit_w": limit_w(),  # a load that reaches it is reduced gradually, and its edges are not steps
        "polls_per_s": round(len(readings) / seconds, 1),
    }


def lags(readings: Sequence[Reading], busy_s: Sequence[tuple[float, float]]) -> dict[str, Any]:
    """The counter's lag behind each edge of the load in seconds, and the levels that it and the power reading show.

    busy_s: start and end of each stretch of load, in `perf_counter` seconds
    """
    edges = [readings[0].time_s, *(edge_s for pair in busy_s for edge_s in pair), readings[-1].time_s]
    lines = _lines(ticks_from_readings(readings), edges)
    by_counter = _behind(lines, edges)
    by_power = _behind(_lines(integrated(readings), edges), edges)
    idle_until_s = busy_s[0][0]
    return {
        "idle_w": round(lines[0][0], 2),
        "busy_w": round(lines[1][0], 2),
        "idle_by_power_w": round(_mean_power(readings, edges[0], idle_until_s), 2),
        "busy_by_power_w": round(_mean_power(readings, busy_s[0][0] + TRANSITION_S, busy_s[0][1]), 2),
        "lag_up_s": [round(value, 4) for value in by_counter[0::2]],
        "lag_down_s": [round(value, 4) for value in by_counter[1::2]],
        "largest_lag_s": round(max(by_counter, key=abs), 4),
        "largest_lag_beyond_power_s": round(
            max((own - of_power for own, of_power in zip(by_counter, by_power, strict=True)), key=abs), 4
        ),
        "lag_of_power_s": [round(value, 4) for value in by_power],
    }


def integrated(readings: Sequence[Reading]) -> list[tuple[float, float]]:
    """(seconds, joules) of the power readings, by trapezoids: what the board itself takes to draw another power, and
    the lag of that reading, are in its crossings too."""
    joules, points = 0.0, []
    for before, after in itertools.pairwise(readings):
        joules += (after.time_s - before.time_s) * (before.power_w + after.power_w) / 2
        points.append((after.time_s, joules))
    return points


def _lines(points: Sequence[tuple[float, float]], edges_s: Sequence[float]) -> list[tuple[float, float]]:
    """The straight line of each stretch between two edges, without what follows a step at once."""
    return [
        _line([point for point in points if begin_s + TRANSITION_S * (place > 0) < point[0] <= end_s])
        for place, (begin_s, end_s) in enumerate(itertools.pairwise(edges_s))
    ]


def _behind(lines: Sequence[tuple[float, float]], edges_s: Sequence[float]) -> list[float]:
    """Seconds from each inner edge to where the lines on its two sides meet."""
    steps = zip(itertools.pairwise(lines), edges_s[1:], strict=False)
    return [_crossing_s(before, after) - edge_s for (before, after), edge_s in steps]


def ticks_from_readings(readings: Sequence[Reading]) -> list[tuple[float, float]]:
    """(seconds, joules) at each change of the counter, half a poll before it was seen.

    Between two ticks the counter stands still, so that all polls together would lag by half a tick.
    """
    pairs = itertools.pairwise(readings)
    return [
        ((before.time_s + after.time_s) / 2, after.counter_j)
        for before, after in pairs
        if after.counter_j != before.counter_j
    ]


def settling(readings: Sequence[Reading], ended_s: float) -> dict[str, Any]:
    """Seconds from the end of the load until power stays within SETTLED of the mean of the last second."""
    last_s = readings[-1].time_s
    level_w = _mean_power(readings, max(last_s - 1.0, ended_s), last_s)
    means = []
    begin_s = ended_s
    while begin_s + MEAN_OVER_S <= last_s:
        means.append((begin_s, _mean_power(readings, begin_s, begin_s + MEAN_OVER_S)))
        begin_s += MEAN_OVER_S
    unsettled = [at_s for at_s, watts in means if abs(watts - level_w) > SETTLED * level_w]
    settled_s = (max(unsettled) + MEAN_OVER_S - ended_s) if unsettled else 0.0
    return {
        "settled_idle_w": round(level_w, 2),
        "settle_s": round(settled_s, 2),
        "watched_s": round(last_s - ended_s, 2),
        "decay_w": [round(watts, 2) for _, watts in means[:: max(1, len(means) // 16)]],
    }


def _mean_power(readings: Sequence[Reading], begin_s: float, end_s: float) -> float:
    return statistics.fmean(item.power_w for item in readings if begin_s <= item.time_s <= end_s)


def _line(points: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Least squares of joules over seconds: watts, and joules at second 0."""
    if len(points) < 3:
        raise ValueError(f"the counter moved {len(points)} times only between two steps of the load")
    slope, intercept = statistics.linear_regression(*zip(*points, strict=True))
    return slope, intercept


def _crossing_s(before: tuple[float, float], after: tuple[float, float]) -> float:
    """Where two lines of joules over seconds meet."""
    if abs(after[0] - before[0]) < 0.1 * max(abs(before[0]), abs(after[0])):
        raise ValueError(f"the load does not show: {before[0]:.1f} W before and {after[0]:.1f} W after a step")
    return (before[1] - after[1]) / (after[0] - before[0])


QUESTIONS = {"step_response": step_response}

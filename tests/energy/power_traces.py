"""Random power traces in the likeness of a GPU that serves a language model.

A trace is a history before the window, the work in it, and what comes after, as points between which power is a
straight line, so that its energy is exact. The family, drawn before any result was seen:

- idle 60-120 W; the work's power up to 400-700 W; half of the windows come after a pause, half right after other work;
- the work is a chain of batches: a prefill of 0.03-0.8 s near the highest power, then 8-256 decode steps, then a
  pause of the host of 2-60 ms, in one batch of ten of 0.1-0.5 s, in which power falls towards idle;
- a decode step takes 8-60 ms, the same for a trace but for a jitter of 2-10 %, and in each the power falls by 5-35 %
  for 10-40 % of it (the launch gaps); the plateau is 40-90 % of the prefill's power, lies elsewhere by ±5 % in each
  batch, and rises by up to 10 % with the context;
- changes take 2-6 ms; the first work of a window comes up over 20-150 ms;
- everything drifts by up to ±3 % over the window (temperature); one trace of four carries bursts, +10-30 % for
  10-50 ms, up to three a second;
- where the same work runs around the window (`around`), its last seconds come before the start, after the pause, and
  its first ones after the end: the same batches, with steps that last otherwise by the same jitter, power that lies
  elsewhere by 1 %, and without the window's drift;
- afterwards power falls in steps over 0.2-2 s to idle. The window, 5-60 s, ends with the work, at any phase of the
  ticks.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from itertools import pairwise

HISTORY_S = 4.0
AFTERWARDS_S = 6.0
# Between two passes of the same work the host waits for the device: so fast does power change there.
JOIN_S = 0.002

Point = tuple[float, float]  # seconds from the window's start, watts


@dataclass(frozen=True)
class Trace:
    """Points from `HISTORY_S` before the window's start at 0 to `AFTERWARDS_S` after its end at `duration_s`."""

    points: list[Point]
    duration_s: float

    def energy_j(self) -> float:
        """What is drawn from 0 to `duration_s`: trapezoids, exact for straight lines."""
        inside = [(0.0, self._at(0.0)), *(p for p in self.points if 0 < p[0] < self.duration_s)]
        inside.append((self.duration_s, self._at(self.duration_s)))
        return sum((b[0] - a[0]) * (a[1] + b[1]) / 2 for a, b in pairwise(inside))

    def _at(self, time_s: float) -> float:
        for (t0, w0), (t1, w1) in pairwise(self.points):
            if t0 <= time_s <= t1:
                return w0 + (w1 - w0) * (time_s - t0) / (t1 - t0) if t1 > t0 else w1
        raise ValueError(f"{time_s} lies outside the trace")


class _Pen:
    """Draws plateaus with slopes between them."""

    def __init__(self, time_s: float, watts: float, slope_s: float) -> None:
        self.points: list[Point] = [(time_s, watts)]
        self.slope_s = slope_s

    @property
    def time_s(self) -> float:
        return self.points[-1][0]

    def hold(self, watts: float, seconds: float, slope_s: float | None = None) -> None:
        slope_s = min(self.slope_s if slope_s is None else slope_s, seconds)
        self.points.append((self.time_s + slope_s, watts))
        if seconds > slope_s:
            self.points.append((self.time_s + seconds - slope_s, watts))


def draw_trace(seed: int, duration_s: float | None = None, around_s: float = 0.0) -> Trace:
    """A trace of the family; the same for the same seed. `duration_s` fixes the window's length.

    around_s: seconds for which the work of the window also runs before its start and after its end
    """
    draw = random.Random(seed)
    duration = draw.uniform(5.0, 60.0) if duration_s is None else duration_s
    idle_w, high_w = draw.uniform(60, 120), draw.uniform(400, 700)
    level, growth = draw.uniform(0.4, 0.9), draw.uniform(0, 0.1)
    step_s, jitter = draw.uniform(0.008, 0.06), draw.uniform(0.02, 0.10)
    dip, dip_share = draw.uniform(0.05, 0.35), draw.uniform(0.1, 0.4)
    drift, bursts = draw.uniform(-0.03, 0.03), draw.random() < 0.25
    burst_rate = draw.uniform(0.2, 3.0)

    pen = _Pen(-HISTORY_S, idle_w, draw.uniform(0.002, 0.006))
    if draw.random() < 0.5:
        pen.hold(idle_w, HISTORY_S, 0.0)
        pen.hold(draw.uniform(0.6, 0.9) * high_w, 0.15, draw.uniform(0.02, 0.15))
    else:
        busy_w = level * high_w
        pen.points[0] = (-HISTORY_S, busy_w)
        pen.hold(busy_w, HISTORY_S - (pause_s := draw.uniform(0.005, 0.3)), 0.0)
        pen.hold(idle_w + 0.3 * (busy_w - idle_w), pause_s)
    while pen.time_s < duration:
        prefill_w = high_w * draw.uniform(0.85, 1.0)
        pen.hold(prefill_w, draw.uniform(0.03, 0.8))
        plateau_w = prefill_w * level * draw.uniform(0.95, 1.05)
        steps = draw.randint(8, 256)
        for step in range(steps):
            if pen.time_s >= duration:
                break
            length_s = step_s * max(0.3, draw.gauss(1.0, jitter))
            watts = plateau_w * (1 + growth * step / steps) * (1 + drift * pen.time_s / duration)
            burst = bursts and draw.random() < burst_rate * length_s
            pen.hold(watts * (draw.uniform(1.1, 1.3) if burst else 1.0), (1 - dip_share) * length_s)
            pen.hold(watts * (1 - dip), dip_share * length_s)
        long_pause = draw.random() < 0.1
        pen.hold(
            idle_w + draw.uniform(0.1, 0.5) * (plateau_w - idle_w),
            draw.uniform(0.1, 0.5) if long_pause else draw.uniform(0.002, 0.06),
        )
    points = [point for point in pen.points if point[0] < duration]
    points.append((duration, points[-1][1]))
    after = _Pen(duration, points[-1][1], 0.01)
    rest_s, watts = draw.uniform(0.2, 2.0), points[-1][1]
    for _ in range(4):
        watts = idle_w + (watts - idle_w) * 0.45
        after.hold(watts, rest_s / 4)
    after.hold(idle_w, AFTERWARDS_S - rest_s)
    plain = Trace([*points, *after.points[1:]], duration)
    return plain if around_s == 0 else _with_work_around(plain, around_s, draw, drift, jitter)


def _with_work_around(plain: Trace, around_s: float, draw: random.Random, drift: float, jitter: float) -> Trace:
    """The last and the first seconds of the window once more, before and after it."""
    end_s = plain.duration_s
    first_w = next(watts for time_s, watts in reversed(plain.points) if time_s <= 0)
    inside = [(0.0, first_w), *(point for point in plain.points if 0 < point[0] <= end_s)]
    lead = _again(inside[::-1], around_s, draw, jitter, level=draw.gauss(1, 0.01) / (1 + drift))
    follow = _again(inside, around_s, draw, jitter, level=draw.gauss(1, 0.01) * (1 + drift))
    before = [(time_s - around_s - JOIN_S, watts) for time_s, watts in plain.points if time_s < 0]
    before = [point for point in before if point[0] >= -HISTORY_S] or [(-HISTORY_S, before[-1][1])]
    after = [(time_s + around_s + JOIN_S, watts) for time_s, watts in plain.points if time_s > end_s]
    points = [
        *before,
        *((-JOIN_S - since_s, watts) for since_s, watts in lead[::-1]),
        *inside,
        *((end_s + JOIN_S + since_s, watts) for since_s, watts in follow),
        *after,
    ]
    return Trace(points, end_s)


def _again(points: list[Point], seconds: float, draw: random.Random, jitter: float, level: float) -> list[Point]:
    """The first seconds of a course as (time since its first point, watts), each piece as long as `jitter` has it."""
    again, since_s = [(0.0, points[0][1] * level)], 0.0
    for earlier, later in pairwise(points):
        length_s = abs(later[0] - earlier[0]) * max(0.3, draw.gauss(1.0, jitter))
        if since_s + length_s >= seconds:
            break
        since_s += length_s
        again.append((since_s, later[1] * level))
    again.append((seconds, again[-1][1]))
    return again

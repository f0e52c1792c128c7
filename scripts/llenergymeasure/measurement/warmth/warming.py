"""Warm up until latency and temperature are flat, and keep what that looked like."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from llenergymeasure.config import WarmupConfig
from llenergymeasure.measurement.metrics.variation import coefficient_of_variation
from llenergymeasure.measurement.warmth.trend import last_readings, line

# Now, in seconds, and the temperature of the hottest device in °C; None where no device reports it.
Reading = Callable[[], tuple[float, float | None]]


@dataclass(frozen=True)
class Warming:
    """What warming up looked like, pass by pass, and whether it ended flat.

    latencies_s, temperatures_c, elapsed_s: one value per pass, at its end
    steady_passes: after how many of them the latencies were flat; all of them where they never were
    begun_s: when it began, on the clock of the readings; start_c: how warm the device was then
    rested: whether the temperature had come to rest; None where no device reports it
    """

    latencies_s: tuple[float, ...]
    temperatures_c: tuple[float | None, ...]
    elapsed_s: tuple[float, ...]
    stable: bool
    steady_passes: int
    begun_s: float
    start_c: float | None
    rested: bool | None

    def rest_c(self, warmup: WarmupConfig) -> float | None:
        """Where the temperature had come to at the end: the last point of the line that the test looked at."""
        if not self.temperatures_c or self.temperatures_c[-1] is None:
            return self.start_c
        readings = last_readings(self.elapsed_s, self.temperatures_c, warmup.temperature_window_s)
        return self.temperatures_c[-1] if readings is None else line(*readings)[1]


def warm_up(run_pass: Callable[[], float], warmup: WarmupConfig, reading: Reading) -> Warming:
    """Passes until latency and temperature are flat.

    run_pass: one pass, and its duration in seconds

    With a fixed count there are that many. Otherwise waiting for latency ends after `max_passes` passes, and for
    temperature, where a device reports it, after `temperature_timeout_s` seconds.
    """
    latencies: list[float] = []
    temperatures: list[float | None] = []
    elapsed: list[float] = []
    begun_s, start_c = reading()
    steady: int | None = None
    ended: bool | None = None
    while ended is None and (warmup.passes is None or len(latencies) < warmup.passes):
        latencies.append(run_pass())
        now_s, temperature_c = reading()
        temperatures.append(temperature_c)
        elapsed.append(now_s - begun_s)
        if warmup.passes is not None:
            continue
        flat = is_flat(latencies, warmup)
        if flat and steady is None:
            steady = len(latencies)
        ended = _ended(flat, latencies, temperatures, elapsed, warmup)
    has_sensor = bool(temperatures) and temperatures[-1] is not None
    return Warming(
        latencies_s=tuple(latencies),
        temperatures_c=tuple(temperatures),
        elapsed_s=tuple(elapsed),
        stable=ended is not False,
        steady_passes=len(latencies) if steady is None or not has_sensor else steady,
        begun_s=begun_s,
        start_c=start_c,
        rested=is_thermally_flat(temperatures, elapsed, warmup) if has_sensor else None,
    )


def _ended(
    flat: bool,
    latencies: Sequence[float],
    temperatures: Sequence[float | None],
    elapsed: Sequence[float],
    warmup: WarmupConfig,
) -> bool | None:
    """Whether everything is flat; False where waiting is given up, None where it goes on."""
    rested = is_thermally_flat(temperatures, elapsed, warmup)
    if flat and rested:
        return True
    waited_for_latency = flat or len(latencies) >= warmup.max_passes
    waited_for_heat = rested or elapsed[-1] >= warmup.temperature_timeout_s
    return False if waited_for_latency and waited_for_heat else None


def is_flat(latencies: Sequence[float], warmup: WarmupConfig) -> bool:
    """Whether the last `cv_window` latencies vary by less than `cv_threshold`, and have no trend of that size.

    A straight line through them must change by less than that share of their mean from the first to the last: latencies
    that fall from pass to pass vary little among four, and are not at their end.
    """
    if len(latencies) < warmup.cv_window:
        return False
    recent = latencies[-warmup.cv_window :]
    spread = coefficient_of_variation(recent)
    if spread is None or spread >= warmup.cv_threshold:
        return False
    slope, _ = line(range(len(recent)), recent)
    return abs(slope) * (len(recent) - 1) < warmup.cv_threshold * statistics.fmean(recent)


def is_thermally_flat(temperatures: Sequence[float | None], elapsed: Sequence[float], warmup: WarmupConfig) -> bool:
    """Whether a straight line through the last `temperature_window_s` seconds is flat; True without a sensor.

    It may rise or fall by `temperature_drift_c` in that time. A line, because a sensor tells whole degrees: over a
    minute their steps even out, and a range of two degrees in ten seconds says nothing about a device that takes
    minutes.
    """
    if not temperatures or temperatures[-1] is None:
        return True
    readings = last_readings(elapsed, temperatures, warmup.temperature_window_s)
    if readings is None:
        return False
    slope, _ = line(*readings)
    return abs(slope) * warmup.temperature_window_s <= warmup.temperature_drift_c

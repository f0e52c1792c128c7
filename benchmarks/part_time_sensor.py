"""Claim: a power sensor that looks at a part of the time deceives neither a window nor the split of its trace.

Two parts, each with a generator of its own (tests/energy/part_time_sensor.py), a noise of 1 % per period, ticks of
100 ms, and limits on the share of the stated 95 % intervals that cover the true value, without the sensor's gain: for
the windows of all loops together, and for the splits in each line.

- windows of 30 s over a decode loop, busy at 450 W for 60 % of a step and waiting at 150 W, with steps of 10 to 60 ms,
  uniform, that vary by 0.5 % or 2 %; the sensor sees 25 %;
- prefills of 50, 100 and 300 ms at 600 W and decodes of 320, 900 and 1700 ms at 250 W, in windows of 60 s; the sensor
  sees all, or 25 % at the beginning or the end of a period, or 25 % published late, or lags by 20, 50 or 100 ms (first
  order). Splits that are refused do not count, but no line may refuse more than 5 %.

The other lines are for comparison and have no limit: the same loops booked without knowing the steps; loops whose step
is a whole part of the period, without and with the pauses between passes that a window then has.
"""

from __future__ import annotations

import os
import statistics
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "scripts"), str(ROOT / "tests")]

from energy.part_time_sensor import Load, Sensor, batches, loop, readings  # noqa: E402

from llenergymeasure.energy.integration.counter_energy import CounterWindow, counter_entry  # noqa: E402
from llenergymeasure.energy.integration.sensors import PartTime, family_from_name  # noqa: E402
from llenergymeasure.energy.integration.step_aliasing import Cycles  # noqa: E402
from llenergymeasure.energy.ledger import Account, Interval, LedgerEntry, Span  # noqa: E402
from llenergymeasure.energy.uncertainty import expanded  # noqa: E402
from llenergymeasure.engine.generation.generation import Generation  # noqa: E402
from llenergymeasure.measurement.metrics.prefill_decode import COVERAGE, split_trace  # noqa: E402

WINDOWS, COMPARED, SPLITS = 500, 200, 1000
LIMITS = (0.93, 0.97)
REFUSED_AT_MOST = 0.05
LOOP_S, SPLIT_S = 30.0, 60.0
JITTERS = (0.005, 0.02)
STEPS_S = (0.01, 0.06)
CALLS_S = ((0.05, 0.32), (0.1, 0.9), (0.3, 1.7))
SENSORS: dict[str, dict[str, float]] = {
    "sees all": {"share": 1.0},
    "sees the first 25 %": {},
    "sees the last 25 %": {"seen_at_s": 0.075},
    "sees 25 %, 60 ms late": {"late_s": 0.06},
    "lags by 20 ms": {"share": 1.0, "lag_s": 0.02},
    "lags by 50 ms": {"share": 1.0, "lag_s": 0.05},
    "lags by 100 ms": {"share": 1.0, "lag_s": 0.1},
}
FAMILY = family_from_name("H100")


@dataclass(frozen=True)
class Booked:
    """Relative error and half width of the 95 % interval, without the gain."""

    error: float
    stated: float

    @property
    def covers(self) -> bool:
        return abs(self.error) <= self.stated


def book(
    load: Load, sensor: Sensor, window_s: float, rng: np.random.Generator, loops: Sequence[Cycles] = ()
) -> tuple[LedgerEntry, list[Interval]]:
    """What our windows make of a load that runs from before 0 until after `window_s`."""
    shown = readings(*sensor.ticks(load, rng), window_s, rng)
    span = Span("generate", 0.0, window_s, same_work=True)
    account = Account("GPU-a", "gpu", "measured:nvml-total-energy")
    return counter_entry(span, CounterWindow(account, FAMILY, shown, None, loops=loops))


def book_loop(seed: int, jitter: float, *, step_s: float | None = None, knows: bool = True, pauses: int = 0) -> Booked:
    """One window over a loop of equal steps; `pauses` of them follow a pause."""
    rng = np.random.default_rng([seed, round(1e4 * jitter), pauses])
    length_s = rng.uniform(*STEPS_S) if step_s is None else step_s
    load, steps_s = loop(rng, step_s=length_s, jitter=jitter, window_s=LOOP_S, pauses=pauses)
    inside = (steps_s[:, 0] >= 0) & (steps_s[:, 1] <= LOOP_S)
    loops = [Cycles(steps_s[inside, 0], steps_s[inside, 1])] if knows else []
    entry, _ = book(load, Sensor(), LOOP_S, rng, loops)
    true_j = float(load.joules(LOOP_S) - load.joules(0.0))
    assert entry.energy_j is not None
    own = [component for component in entry.components if component.kind != "gain"]
    return Booked(entry.energy_j / true_j - 1, expanded(own) / true_j)


def split_prefill(seed: int, prefill_s: float, decode_s: float, sensor: Sensor) -> Booked | None:
    """The prefill energy of one window by its trace; None where the split is refused."""
    of_sensor = round(1e3 * (sensor.share + sensor.seen_at_s + 2 * sensor.late_s + 3 * sensor.lag_s))
    rng = np.random.default_rng([seed, round(1e3 * prefill_s), of_sensor])
    load, calls = batches(rng, prefill_s=prefill_s, decode_s=decode_s, window_s=SPLIT_S)
    _, pieces = book(load, sensor, SPLIT_S, rng)
    timeline = [Generation(*map(float, call)) for call in calls if call[0] >= 0 and call[2] <= SPLIT_S]
    # The window begins with the first call and ends with the last.
    inside = [piece for piece in pieces if timeline[0].start_s < piece.start_s and piece.end_s < timeline[-1].end_s]
    seen = PartTime(sensor.period_s, FAMILY.seen_share, FAMILY.lag_bound_s, regular=True)
    split, _ = split_trace(inside, timeline, {"GPU-a": seen})
    if split is None:
        return None
    true_j = float(load.watts[0]) * sum(call.first_token_s - call.start_s for call in timeline)
    return Booked(split.prefill.energy_j / true_j - 1, COVERAGE * split.prefill.standard_j / true_j)


def covered(booked: Sequence[Booked | None]) -> float:
    return statistics.fmean(one.covers for one in booked if one is not None)


def main() -> bool:
    os.environ["OMP_NUM_THREADS"] = "1"
    with ProcessPoolExecutor(2) as pool:

        def row(words: str, work: Any, many: int) -> list[Booked | None]:
            booked = list(pool.map(work, range(many), chunksize=25))
            _print_row(words, booked)
            return booked

        print("part_time_sensor: windows of 30 s over a loop of steps of 10 to 60 ms, errors without the gain")
        loops = [
            one
            for jitter in JITTERS
            for one in row(f"steps vary by {jitter:.1%}", partial(book_loop, jitter=jitter), WINDOWS)
        ]
        for jitter in JITTERS:
            row(f"  the steps not known, {jitter:.1%}", partial(book_loop, jitter=jitter, knows=False), COMPARED)
        for step_s in (0.02, 0.05):
            for pauses in (0, 16):
                work = partial(book_loop, jitter=JITTERS[0], step_s=step_s, pauses=pauses)
                row(f"  all steps {step_s * 1e3:g} ms, {pauses} pauses", work, COMPARED)
        print("part_time_sensor: prefill energy by the trace, windows of 60 s")
        lines = {
            words: row(words, partial(split_prefill, prefill_s=prefill_s, decode_s=decode_s, sensor=sensor), SPLITS)
            for words, prefill_s, decode_s, sensor in _split_lines()
        }
    missed = [words for words, splits in lines.items() if not holds(splits)]
    for words in missed:
        print(f"  outside the limits: {words}")
    splits = [one for line in lines.values() for one in line]
    print(
        f"  the interval covers {covered(loops):.1%} of {len(loops)} windows (limits {LIMITS[0]:.0%} to "
        f"{LIMITS[1]:.0%}) and {covered(splits):.1%} of {len(splits)} splits; {len(lines) - len(missed)} of "
        f"{len(lines)} lines keep these limits and refuse at most {REFUSED_AT_MOST:.0%}"
    )
    return LIMITS[0] <= covered(loops) <= LIMITS[1] and not missed


def holds(splits: Sequence[Booked | None]) -> bool:
    """Whether one line covers as often as it says, without refusing its way there."""
    refused = sum(one is None for one in splits) / len(splits)
    return refused <= REFUSED_AT_MOST and LIMITS[0] <= covered(splits) <= LIMITS[1]


def _split_lines() -> Iterator[tuple[str, float, float, Sensor]]:
    for prefill_s, decode_s in CALLS_S:
        for words, sensor in SENSORS.items():
            yield f"{prefill_s * 1e3:g}/{decode_s * 1e3:g} ms, {words}", prefill_s, decode_s, Sensor(**sensor)


def _print_row(words: str, booked: Sequence[Booked | None]) -> None:
    known = [one for one in booked if one is not None]
    if not known:
        print(f"  {words:40} all {len(booked)} refused", flush=True)
        return
    sizes = np.abs([one.error for one in known])
    print(
        f"  {words:40} bias {statistics.fmean(one.error for one in known):+.3%}, error {np.median(sizes):.3%}, 95th "
        f"{np.quantile(sizes, 0.95):.2%}, stated ±{statistics.median(one.stated for one in known):.2%}, covers "
        f"{covered(booked):.1%}, {len(booked) - len(known)} of {len(booked)} refused",
        flush=True,
    )

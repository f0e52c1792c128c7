"""Claim: the energy of a window is right, and its interval says how right.

200 random power traces in the likeness of language-model serving (tests/energy/power_traces.py describes the family
and was written before any result was seen), windows of 5 to 60 s, update periods of 20 and 100 ms, a sensor that sees
25 % of the time, 1 % of noise per period, a gain error of ±5 % spread evenly over the traces; driver calls of 0.02, 2
and 5 ms, and a counter that publishes 0, 50 and 100 ms late; the real meter, sampling loop and binding over the
simulated library, on a virtual clock. The same work runs around each window, as it does around measured windows.
Limits, over all of these:

- error without the gain: at most 0.5 % in the median, 1 % at the 95th percentile;
- the stated 95 % interval covers the true value in 93 to 97 % of the windows, with the gain and without it. With the
  gain that is hardly a test, because the budget says ±5 % and the boards' gains are spread evenly over ±5 %; the
  interval without the gain is computed from each window's own readings.

The simulated boards above tick like clockwork and see the first quarter of each period, which the budget takes for
granted. The rows of other boards do not: their ticks come irregularly, they look elsewhere, or less often, they answer
after 10 ms, or fail now and then. Other windows, such as those of a setup, have no such work around them, so that power
steps at their edges. There the interval may be wide, but must not be too narrow: it must cover the true value in 90 %
of 200 windows without the gain.

A claim of its own: loops of equal steps of 10 to 60 ms, which vary by 0.5 % or 2 %, in windows of 30 s on boards that
tick every 100 ms. The steps are known, as they are from a run's stamps. At most `LOOP_HIGH` of error at the 95th
percentile, and the interval without the gain covers at least the lower limit above; `part_time_sensor` counts more such
windows and holds both limits.

For comparison, on the same traces at another phase of the ticks: plain polling of the (1 s averaged) power every
100 ms, and the plain difference of the counter; and our windows on boards without a counter. The rows `sees all` use a
sensor that misses nothing and has no noise: their error is that of the edges, the rest of the other rows' error is the
sensor's.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from collections.abc import Callable, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "scripts"), str(ROOT / "tests")]

from energy.accuracy import Row, measure_all  # noqa: E402
from energy.simulated_gpus import build_driver  # noqa: E402

TRACES = 200
PERIODS_S = (0.02, 0.1)
LATENCIES_S, LAGS_S = (0.00002, 0.002, 0.005), (0.0, 0.05, 0.1)
MEDIAN, HIGH, COVERAGE = 0.005, 0.01, (0.93, 0.97)
QUICK = {"latency_s": LATENCIES_S[0]}
OTHERS: dict[str, dict[str, Any]] = {
    "ticks irregular by 3 %": {"jitter": 0.03, "fields": "instant"},
    "ticks irregular by 15 %": {"jitter": 0.15, "fields": "instant"},
    "one tick in four when idle": {"idle_w": 150.0, "idle_skip": 4.0},
    "sees the last quarter": {"seen_at": 1.0},
    "sees the first tenth": {"duty": 0.1},
    "a fifth of the power readings fails": {"power_gaps": 0.2, "fields": "instant"},
    "calls of 10 ms": {"latency_s": 0.01},
    "calls of 10 ms, lag of 100 ms": {"latency_s": 0.01, "lag_s": 0.1},
    "no work around, lag of 0 ms": {"around": False},
    "no work around, lag of 50 ms": {"around": False, "lag_s": 0.05},
    "no work around, lag of 100 ms": {"around": False, "lag_s": 0.1},
    "no work around, lag of 100 ms, calls of 5 ms": {"around": False, "lag_s": 0.1, "latency_s": 0.005},
    "no work around, one tick in four when idle": {"around": False, "idle_w": 150.0, "idle_skip": 4.0},
}
LOOPS, LOOP_JITTERS, LOOP_S, LOOP_HIGH = 100, (0.005, 0.02), 30.0, 0.003
OTHER_TRACES, OTHER_COVERAGE = 100, 0.90


def main() -> bool:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        build_driver(folder)

        def measured(traces: int, *ways: str, **board: Any) -> list[Row]:
            return measure_all(folder, range(traces), PERIODS_S, ways, **{**QUICK, **board})

        print(f"energy_accuracy: {TRACES} traces, errors in % of the true value, without the sensor's gain", flush=True)
        claimed = [
            _print_row(f"calls of {latency_s * 1e3:g} ms, lag of {lag_s * 1e3:g} ms", rows)
            for latency_s in LATENCIES_S
            for lag_s in LAGS_S
            for rows in [measured(TRACES, "counter", latency_s=latency_s, lag_s=lag_s, naive=lag_s == 0)]
        ]
        counter = list(chain.from_iterable(claimed))
        _print_ways(
            [row for row in counter if row.latency_s == LATENCIES_S[0] and row.lag_s == 0],
            measured(TRACES, "counter", duty=1.0, noise=0.0, naive=True),
            measured(TRACES, "average"),
            measured(TRACES, "instant"),
        )
        others = [_print_row(words, measured(OTHER_TRACES, "counter", **board)) for words, board in OTHERS.items()]
        loops = _print_loops(folder)
    unknown = [row for row in [*counter, *chain.from_iterable(others)] if row.energy_j is None]
    for row in unknown:
        print(f"  no figure: trace {row.seed}, {row.way}, ticks of {row.period_s} s: {row.reason}")
    median, high = _quantiles(_errors(counter, ours))
    covered, alone = _covered(counter), _covered_without_gain(counter)
    least = min(_covered_without_gain(other) for other in others)
    print(
        f"  counter, latencies to 5 ms, lags to 100 ms: median {median:.3%} (limit {MEDIAN:.1%}), 95th percentile "
        f"{high:.3%} (limit {HIGH:.1%}), coverage {covered:.1%} with the gain and {alone:.1%} without it (limits "
        f"{COVERAGE[0]:.0%} to {COVERAGE[1]:.0%}); other boards and windows: coverage at least {least:.1%} (limit "
        f"{OTHER_COVERAGE:.0%}); {len(unknown)} windows without a figure"
    )
    return (
        not unknown
        and median <= MEDIAN
        and high <= HIGH
        and all(COVERAGE[0] <= share <= COVERAGE[1] for share in (covered, alone))
        and least >= OTHER_COVERAGE
        and _quantiles(_errors(loops, ours))[1] <= LOOP_HIGH
        and _covered_without_gain(loops) >= COVERAGE[0]
    )


def _print_loops(folder: Path) -> list[Row]:
    """Windows over loops whose steps are known; prints their errors."""
    rows = [
        row
        for jitter in LOOP_JITTERS
        for row in measure_all(
            folder, range(LOOPS), [PERIODS_S[1]], ["counter"], loop_jitter=jitter, duration_s=LOOP_S, **QUICK
        )
    ]
    median, high = _quantiles(_errors(rows, ours))
    print(
        f"  loops of known steps, 100 ms: median {median:.3%}, 95th {high:.2%} (limit {LOOP_HIGH:.1%}), stated "
        f"±{_stated(rows):.2%}, covers {_covered_without_gain(rows):.1%} without the gain (limit {COVERAGE[0]:.0%})",
        flush=True,
    )
    return rows


def _print_row(words: str, rows: list[Row]) -> list[Row]:
    """Print the errors of one kind of windows, and return the windows."""
    cells = ""
    for period_s in PERIODS_S:
        of = [row for row in rows if row.period_s == period_s]
        median, high = _quantiles(_errors(of, ours))
        cells += f"{period_s * 1e3:5.0f} ms: median {median:.3%}, 95th {high:.2%}, stated ±{_stated(of):.2%};"
    print(
        f"  {words:44}{cells} covers {_covered(rows):.1%} with the gain, {_covered_without_gain(rows):.1%} without",
        flush=True,
    )
    return rows


def _print_ways(counter: list[Row], ideal: list[Row], average: list[Row], instant: list[Row]) -> None:
    """Print the errors of other ways, on the same traces, beside those of our windows."""
    print(f"  {'':44}{'20 ms':^22}{'100 ms':^22}")
    print(f"  {'':44}{'median':>8}{'95th':>7}{'ratio':>7}{'median':>8}{'95th':>7}{'ratio':>7}")
    table: list[tuple[str, Sequence[Row], Callable[[Row], float | None]]] = [
        ("our windows, energy counter", counter, ours),
        ("  sensor sees all, no noise", ideal, ours),
        ("plain difference of the counter", counter, lambda row: row.differenced_j),
        ("  sensor sees all, no noise", ideal, lambda row: row.differenced_j),
        ("plain 100 ms polling of power", counter, lambda row: row.polled_j),
        ("our windows, no counter, 1 s averages", average, ours),
        ("our windows, no counter, instant power", instant, ours),
    ]
    for label, of, energy_j in table:
        cells = ""
        for period_s in PERIODS_S:
            mine = _quantiles(_errors([row for row in counter if row.period_s == period_s], ours))
            own = _quantiles(_errors([row for row in of if row.period_s == period_s], energy_j))
            cells += f"{own[0]:8.3%}{own[1]:7.2%}{own[1] / mine[1]:7.1f}"
        print(f"  {label:44}{cells}")
    print("  ratio: 95th percentile over that of our windows with the counter")
    for way, mine in (("average", average), ("instant", instant)):
        print(
            f"  95 % interval, {way:8}: covers {_covered(mine):.1%} with the gain, {_covered_without_gain(mine):.1%} "
            f"without it (stated without gain: ±{_stated(mine):.2%} in the median)",
            flush=True,
        )


def ours(row: Row) -> float | None:
    return row.energy_j


def _errors(rows: Sequence[Row], energy_j: Callable[[Row], float | None]) -> list[float]:
    """Relative errors without the gain of the board's sensor."""
    energies = [(energy_j(row), row) for row in rows]
    return [abs(energy / row.gain / row.truth_j - 1) for energy, row in energies if energy is not None]


def _quantiles(errors: Sequence[float]) -> tuple[float, float]:
    """Median and 95th percentile."""
    return statistics.median(errors), statistics.quantiles(errors, n=20, method="inclusive")[-1]


def _covered(rows: Sequence[Row]) -> float:
    known = [(row.energy_j, row) for row in rows]
    return statistics.mean(energy is not None and abs(energy - row.truth_j) <= row.expanded_j for energy, row in known)


def _covered_without_gain(rows: Sequence[Row]) -> float:
    known = [(row.energy_j, row) for row in rows]
    return statistics.mean(
        energy is not None and abs(energy / row.gain - row.truth_j) <= row.expanded_without_gain_j
        for energy, row in known
    )


def _stated(rows: Sequence[Row]) -> float:
    """Median half width of the interval without the gain."""
    return statistics.median(row.expanded_without_gain_j / row.truth_j for row in rows)

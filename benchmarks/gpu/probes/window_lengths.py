"""Windows of several lengths over the same work: energy must grow with the length and begin at zero.

The windows are those of a measured experiment, over passes of steady work (`streaming`). In
E = intercept + P · t + D · t · tau, with t the length of a window and tau the time of its middle, D is the drift of the
power while the board warms, and the intercept is what the edges of a window add to or take from its energy; over P it
is the time by which a window is too long or too short. Work at the power limit would show nothing: there the power
wanders by more than the edges can do, so how often the limit held the clocks down is beside the figures.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.gpu.probes.board import limit_w
from benchmarks.gpu.probes.streaming import Streaming
from benchmarks.gpu.scale import Scale
from llenergymeasure.config import EnergyConfig
from llenergymeasure.energy import Window, open_meters, primary_energy
from llenergymeasure.energy.meters.nvml.throttle import POWER_CAP
from llenergymeasure.energy.uncertainty import expanded
from llenergymeasure.engine.replicas import Alone
from llenergymeasure.measurement.passes import Passes
from llenergymeasure.measurement.windows import Windows

# Warm-up before the first window, as a multiple of the longest one; it shows how long a pass takes.
WARM_UP = 1.0


def windows(scale: Scale) -> dict[str, Any]:
    meters = open_meters(EnergyConfig(meters=["nvml"]))
    work = Streaming(scale)
    passes = Passes(work, Alone(), work.devices, Windows(meters, Alone()))
    first_s = statistics.median(passes.timed()() for _ in range(5))
    passes.run(math.ceil(WARM_UP * max(scale.lengths_s) / first_s))
    pass_s = statistics.median(work.pass_seconds(raw_pass) for raw_pass in work.take_raw())
    rows = []
    for length_s in scale.lengths_s:
        ran = passes.window("generate", max(1, round(length_s / pass_s)), pass_s)
        work.take_raw()
        rows.append(describe_window(ran.window))
    described = meters.describe()
    meters.close()
    work.close()
    line = fit_line(rows)
    return {
        "windows": rows,
        **line,
        **at_limit(rows, line["watts"], limit_w()),
        "pass_s": round(pass_s, 5),
        "meter": described["devices"],
    }


def at_limit(rows: Sequence[dict[str, Any]], watts: float, most_w: float | None) -> dict[str, float | None]:
    """The work's share of the power limit, and the largest share of a window in which the limit held the clocks down.

    most_w: the board's limit; each share is None where it is not known
    """
    capped = [row["power_limited"] for row in rows if row["power_limited"] is not None]
    return {
        "share_of_limit": None if most_w is None else round(watts / most_w, 3),
        "power_limited": max(capped, default=None),
    }


def describe_window(window: Window) -> dict[str, Any]:
    """A window's seconds, joules, and half width of its interval without the sensor's gain, as a share of the joules.

    Raises:
        ValueError: the window has no energy.
    """
    energy = primary_energy(window.entries, window.phase)
    if energy.energy_j is None:
        raise ValueError(f"a window has no energy: {energy.reason}")
    own = [component for component in energy.components if component.kind != "gain"]
    return {
        "begin_s": round(window.start_monotonic_s, 5),
        "seconds": round(window.duration_s, 5),
        "joules": round(energy.energy_j, 4),
        "expanded95_without_gain": round(expanded(own) / energy.energy_j, 6) if own else None,
        "counter_over_power": [(entry.cross_check or {}).get("ratio") for entry in window.entries],
        "power_limited": max(_capped(window), default=None),
        "findings": sorted({finding.code for finding in window.findings}),
    }


def _capped(window: Window) -> list[float]:
    """By board, the share of the window in which its power limit held the clocks down."""
    reasons = [facts["throttled"] for facts in window.facts.values() if "throttled" in facts]
    return [round(shares[POWER_CAP]["share"], 4) for shares in reasons if POWER_CAP in shares]


def fit_line(rows: Sequence[dict[str, Any]], *, drift: bool = True) -> dict[str, Any]:
    """Watts, their drift, and the intercept of joules over seconds; in seconds, with its standard error, too.

    drift: whether the power may drift with time; without it, no `begin_s` is needed
    """
    seconds = np.array([row["seconds"] for row in rows])
    joules = np.array([row["joules"] for row in rows])
    columns = [np.ones(len(rows)), seconds]
    if drift:
        middles_s = np.array([row["begin_s"] for row in rows]) + seconds / 2
        columns.append(seconds * (middles_s - middles_s.mean()))
    terms = np.column_stack(columns)
    solution = np.linalg.lstsq(terms, joules, rcond=None)[0]
    intercept_j, watts = float(solution[0]), float(solution[1])
    variance = float(((joules - terms @ solution) ** 2).sum()) / max(len(rows) - len(solution), 1)
    error_j = math.sqrt(variance * float(np.linalg.pinv(terms.T @ terms)[0, 0]))
    return {
        "watts": round(watts, 3),
        "drift_w_per_s": round(float(solution[2]), 4) if drift else None,
        "intercept_j": round(intercept_j, 4),
        "intercept_s": round(intercept_j / watts, 5),
        "intercept_standard_error_s": round(error_j / watts, 5),
        "watts_by_length": {
            f"{length:.1f}": round(statistics.fmean(of_one), 3) for length, of_one in sorted(_by_length(rows).items())
        },
    }


def _by_length(rows: Sequence[dict[str, Any]]) -> dict[float, list[float]]:
    grouped: dict[float, list[float]] = {}
    for row in rows:
        grouped.setdefault(round(row["seconds"], 1), []).append(row["joules"] / row["seconds"])
    return grouped


QUESTIONS = {"windows": windows}

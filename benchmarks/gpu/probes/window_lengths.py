"""Windows of several lengths over the same work: energy must grow with the length and begin at zero.

The windows are those of a measured experiment, passes of a prefill that keeps the board busy. In
E = intercept + P · t + D · t · tau, with t the length of a window and tau the time of its middle, D is the drift of the
power while the board warms, and the intercept is what the edges of a window add to or take from its energy; over P it
is the time by which a window is too long or too short.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.gpu.probes.model import generator
from benchmarks.gpu.scale import Scale
from llenergymeasure.config import EnergyConfig
from llenergymeasure.energy import Window, open_meters, primary_energy
from llenergymeasure.energy.uncertainty import expanded
from llenergymeasure.engine.replicas import Alone
from llenergymeasure.measurement.passes import Passes
from llenergymeasure.measurement.windows import Windows

# Warm-up before the first window, as a multiple of the longest one.
WARM_UP = 0.75


def windows(scale: Scale) -> dict[str, Any]:
    meters = open_meters(EnergyConfig(meters=["nvml"]))
    work = generator(scale, [scale.prompt_tokens] * scale.rows, 2)
    passes = Passes(work, Alone(), work.devices, Windows(meters, Alone()))
    seconds = [passes.timed(prefill_only=True)() for _ in range(4)]
    pass_s = min(seconds)
    passes.run(math.ceil(WARM_UP * max(scale.lengths_s) / pass_s), prefill_only=True)
    work.take_raw()
    rows = []
    for length_s in scale.lengths_s:
        ran = passes.window("generate", max(1, round(length_s / pass_s)), pass_s, prefill_only=True)
        work.take_raw()
        rows.append(row_of(ran.window))
    described = meters.describe()
    meters.close()
    return {"windows": rows, **line_of(rows), "pass_s": round(pass_s, 5), "meter": described["devices"]}


def row_of(window: Window) -> dict[str, Any]:
    """A window's seconds, joules, and half width of its interval without the sensor's gain, as a share of the joules.

    Raises:
        ValueError: the window has no energy.
    """
    found = primary_energy(window.entries, window.phase)
    if found.energy_j is None:
        raise ValueError(f"a window has no energy: {found.reason}")
    own = [component for component in found.components if component.kind != "gain"]
    return {
        "begin_s": round(window.start_monotonic_s, 5),
        "seconds": round(window.duration_s, 5),
        "joules": round(found.energy_j, 4),
        "u95_without_gain": round(expanded(own) / found.energy_j, 6) if own else None,
        "counter_over_power": [(entry.cross_check or {}).get("ratio") for entry in window.entries],
        "findings": sorted({finding.code for finding in window.findings}),
    }


def line_of(rows: Sequence[dict[str, Any]], *, drift: bool = True) -> dict[str, Any]:
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
    found = np.linalg.lstsq(terms, joules, rcond=None)[0]
    intercept_j, watts = float(found[0]), float(found[1])
    variance = float(((joules - terms @ found) ** 2).sum()) / max(len(rows) - len(found), 1)
    error_j = math.sqrt(variance * float(np.linalg.pinv(terms.T @ terms)[0, 0]))
    return {
        "watts": round(watts, 3),
        "drift_w_per_s": round(float(found[2]), 4) if drift else None,
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

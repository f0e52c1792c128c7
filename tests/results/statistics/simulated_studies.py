"""Studies whose true effects and variances are known."""

from __future__ import annotations

import math

import numpy as np

from llenergymeasure.results.statistics.split_plot import SplitPlot, analyse


def simulated(
    rng: np.random.Generator,
    *,
    setups: int,
    settings: int,
    replicates: int,
    process_cv: float = 0.01,
    residual_cv: float = 0.005,
    effects: dict[str, float] | None = None,
    missing: float = 0.0,
) -> SplitPlot:
    """Experiments `l<load>s<setting>` around 100 units; `effects` multiplies the true figure of some."""
    values: dict[str, dict[int, float]] = {}
    session_ids: dict[str, str] = {}
    for load in range(setups):
        process = rng.normal(0, process_cv, replicates)
        for setting in range(settings):
            name = f"l{load}s{setting}"
            session_ids[name] = f"b{load}"
            logs = math.log(100 * (effects or {}).get(name, 1.0)) + process + rng.normal(0, residual_cv, replicates)
            values[name] = {
                replicate: float(math.exp(log))
                for replicate, log in enumerate(logs, start=1)
                if replicate <= 2 or rng.random() >= missing
            }
    return analyse(values, session_ids)

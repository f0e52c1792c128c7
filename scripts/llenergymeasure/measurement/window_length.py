"""How long a window must be for the edges of its meter to vanish in it."""

from __future__ import annotations

import math
from collections.abc import Iterable

from llenergymeasure.energy import PhaseEnergy
from llenergymeasure.energy.uncertainty import Component, expanded

# A trial shows the meter's budget at the experiment's own power. It is as long as the shortest window the study allows,
# within these bounds: ten ticks of a slow counter do not show how much the energy of a tick scatters.
SHORTEST_TRIAL_S, LONGEST_TRIAL_S = 1.0, 10.0
# Windows are sized for this share of the resolution, because a trial's own figure of the noise scatters: with all of it
# a quarter of the windows would miss (simulated boards that tick every 100 ms, trials of 10 s), with this one in eight.
ALLOWED = 0.8
# A window that would have to be longer is not made: something is wrong with the meter, not with its length.
LONGEST_S = 600.0


def trial_s(min_window_s: float) -> float:
    """How long the trial window is, in seconds."""
    return min(max(min_window_s, SHORTEST_TRIAL_S), LONGEST_TRIAL_S)


def window_for(trial: PhaseEnergy, resolution: float) -> float | None:
    """Seconds after which the expanded uncertainty of edges and noise is below `resolution` of the energy.

    A trial window of t₀ seconds at P watts has the standard uncertainties e (edges, whatever the length) and r (noise,
    growing with √t). With k = U/u of that mixture, k·√(e² + r²·t/t₀) = resolution·P·t is a quadratic equation in t.
    The gain does not count: no window makes it smaller. None where the meter states no edge, as an estimate does.
    """
    if not trial.energy_j:
        return None
    edges = [component for component in trial.components if component.kind == "edge"]
    rates = [component for component in trial.components if component.kind == "rate"]
    if not edges and not rates:
        return None
    standard_j = math.hypot(*(component.standard_j for component in (*edges, *rates)))
    if standard_j == 0:
        return 0.0
    coverage = expanded([*edges, *rates]) / standard_j
    edge_j2 = sum(component.standard_j**2 for component in edges)
    rate_j2_per_s = sum(component.standard_j**2 for component in rates) / trial.duration_s
    allowed_w2 = (resolution * trial.energy_j / trial.duration_s / coverage) ** 2
    needed_s = (rate_j2_per_s + math.sqrt(rate_j2_per_s**2 + 4 * allowed_w2 * edge_j2)) / (2 * allowed_w2)
    return min(needed_s, LONGEST_S)


def reached(energy: PhaseEnergy) -> float | None:
    """The relative expanded uncertainty of edges and noise in a window; None where the meter states none."""
    of_window = [component for component in energy.components if component.kind in ("edge", "rate")]
    if not of_window or not energy.energy_j:
        return None
    return expanded(of_window) / energy.energy_j


def resolves(components: Iterable[Component]) -> bool:
    """Whether a budget knows of edges at all."""
    return any(component.kind in ("edge", "rate") for component in components)

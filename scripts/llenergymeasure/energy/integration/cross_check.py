"""Compare the counter with the integrated power of the same window."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from llenergymeasure.energy.integration.integrated_power import Integral, PowerWindow, integrate
from llenergymeasure.energy.ledger import LedgerEntry, Span
from llenergymeasure.energy.uncertainty import standard
from llenergymeasure.records.finding import Finding

# Below this the two readings of one sensor are one: it is the gain error of a good board (see device_families).
LEAST_THRESHOLD = 0.05
# Standard deviations of the difference: of windows that agree, 3 in 1000 are beyond.
DEVIATIONS = 3.0
FEWEST_SAMPLES = 10
# In units of the averaging time: in shorter windows the edges are all there is.
SHORTEST_AVERAGES = 3.0


@dataclass(frozen=True)
class CrossCheck:
    """How the counter's energy compares with integrated power.

    source: where the power comes from
    ratio: counter over power
    threshold: the relative difference from which on the two disagree
    """

    source: str
    energy_j: float
    ratio: float
    agrees: bool
    threshold: float

    def to_dict(self) -> dict[str, Any]:
        return {
            "source": self.source,
            "energy_j": self.energy_j,
            "ratio": self.ratio,
            "agrees": self.agrees,
            "threshold": self.threshold,
        }


def cross_check(span: Span, entry: LedgerEntry, power: PowerWindow) -> CrossCheck | None:
    """Compare a counter's energy with integrated power.

    None where there is no energy, the samples are too few or their window is too short.

    The threshold is `DEVIATIONS` standard deviations of the difference, at least `LEAST_THRESHOLD`. Of the
    counter only the edges count for it: both readings come from one sensor, so its gain and what it does not see are
    the same in both.
    """
    inside = sum(span.start_s <= time_s <= span.end_s for time_s, _ in power.points)
    if entry.energy_j is None or inside < FEWEST_SAMPLES or span.duration_s < SHORTEST_AVERAGES * power.averaging_s:
        return None
    integral = integrate(span, power)
    if not isinstance(integral, Integral) or integral.energy_j <= 0:
        return None
    edges = [component for component in entry.components if component.kind == "edge"]
    deviation_j = math.hypot(standard(edges), standard(integral.components))
    threshold = max(LEAST_THRESHOLD, DEVIATIONS * deviation_j / integral.energy_j)
    ratio = entry.energy_j / integral.energy_j
    return CrossCheck(power.account.source, integral.energy_j, ratio, abs(ratio - 1) <= threshold, threshold)


def disagreement(entry: LedgerEntry, check: CrossCheck) -> Finding:
    """The finding of a check that failed."""
    return Finding(
        "counter-disagrees-with-power",
        f"{entry.device}: the counter gives {check.ratio:.3f} times the integrated power in phase {entry.phase}, "
        f"beyond ±{check.threshold:.1%}",
    )

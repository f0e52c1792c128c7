"""Energy of a window from power samples, for boards without an energy counter."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

from llenergymeasure.energy.counter_energy import gain
from llenergymeasure.energy.ledger import LedgerEntry, Span
from llenergymeasure.energy.power_sampler import PowerSample
from llenergymeasure.energy.uncertainty import Component, rectangular

SOURCE = "measured:nvml-power"

# NVML's power usage is "averaged over 1 sec interval" on Ampere (except GA100) and newer (NVML reference
# manual).
AVERAGING_S = 1.0
# Between samples the power is taken as a straight line; over a gap like this that would be invention.
LONGEST_GAP_S = 1.0


def power_entry(span: Span, uuid: str, samples: Sequence[PowerSample]) -> LedgerEntry:
    """The ledger entry of one device: trapezoids between samples, the outer ones held to the edges."""
    failed = next((sample.reading.error for sample in samples if sample.reading.power_w is None), None)
    if failed is not None:
        return span.unknown(uuid, "gpu", SOURCE, f"a power reading failed in the window: {failed}")
    # The first sample may be taken some microseconds before the window is declared open.
    points = [
        (min(max(sample.time_s, span.start_s), span.end_s), sample.reading.power_w)
        for sample in samples
        if sample.reading.power_w is not None
    ]
    if len(points) < 2:
        reason = f"only {len(points)} power samples in the window of {span.duration_s:.3g} s"
        return span.unknown(uuid, "gpu", SOURCE, reason)
    points = [(span.start_s, points[0][1]), *points, (span.end_s, points[-1][1])]
    gap_s = max(later[0] - earlier[0] for earlier, later in itertools.pairwise(points))
    if gap_s > LONGEST_GAP_S:
        return span.unknown(uuid, "gpu", SOURCE, f"the power samples have a gap of {gap_s:.1f} s")
    energy_j = math.fsum(
        (later[0] - earlier[0]) * (later[1] + earlier[1]) / 2 for earlier, later in itertools.pairwise(points)
    )
    highest_w = max(power_w for _, power_w in points)
    components = [
        Component(
            f"readings averaged over up to {AVERAGING_S:g} s, at {highest_w:.1f} W, both edges",
            highest_w * rectangular(AVERAGING_S) * math.sqrt(2),
            "edge",
        ),
        gain(energy_j),
    ]
    remark = (
        f"{len(points) - 2} samples integrated; on A100 and H100 the sensor sees only about 25 % of the "
        "time, which is not in this figure"
    )
    return span.known(uuid, "gpu", SOURCE, energy_j, components, remark=remark)

"""Idle power under a window, from idle windows of the same instrument before and after it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from llenergymeasure.energy import LedgerEntry, PhaseEnergy, Window, primary_energy
from llenergymeasure.energy.ledger import NO_SOURCE
from llenergymeasure.energy.uncertainty import Component, rectangular
from llenergymeasure.measurement.settling import TOLERANCE
from llenergymeasure.records.finding import Finding

RESIDENT = "idle_resident"
# What others do in an idle window counts as idle power, and is subtracted from the run's energy.
DISTURBING = frozenset({"foreign-processes", "foreign-cpu-load"})


@dataclass(frozen=True)
class Baseline:
    """What the idle devices, with context and weights, would have taken in a window.

    power_w: in the middle of the window; energy_j: over the window; components: of that energy, in joules
    before_w, after_w: the idle windows on either side; None where there was none with a figure
    """

    power_w: float
    energy_j: float
    components: tuple[Component, ...]
    before_w: float | None
    after_w: float | None


@dataclass(frozen=True)
class _Idle:
    total: PhaseEnergy
    middle_s: float

    @property
    def power_w(self) -> float:
        assert self.total.energy_j is not None
        return self.total.energy_j / self.total.duration_s


def baseline_under(
    entries: Sequence[LedgerEntry], start_s: float, end_s: float, source: str | None
) -> tuple[Baseline | None, str | None]:
    """The baseline of the window from `start_s` to `end_s` (perf_counter), or None and the reason.

    Power drifts with temperature, so it is the straight line between the nearest idle windows on either side, in the
    middle of the window; that line is uncertain by a rectangle as wide as the two differ (GUM 4.3.7). With an idle
    window on one side only, its power is taken as constant and the drift is not in the uncertainty: `baseline_findings`
    says so. Idle power from another source than the window's energy is not subtracted: two instruments do not share
    their gain.
    """
    idles = [idle for idle in _idle_windows(entries) if idle.total.energy_j is not None and idle.total.source == source]
    if not idles:
        return None, _why_none(entries, source)
    before = max((idle for idle in idles if idle.middle_s <= start_s), key=lambda idle: idle.middle_s, default=None)
    after = min((idle for idle in idles if idle.middle_s >= end_s), key=lambda idle: idle.middle_s, default=None)
    duration_s, middle_s = end_s - start_s, (start_s + end_s) / 2
    if before is not None and after is not None:
        later = (middle_s - before.middle_s) / (after.middle_s - before.middle_s)
        weights = [(before, 1 - later), (after, later)]
        drift_w = abs(after.power_w - before.power_w)
        drift = [
            Component(
                f"baseline drift of {drift_w:.3g} W", rectangular(drift_w) * duration_s, "baseline", "rectangular"
            )
        ]
    else:
        only = before or after
        assert only is not None, "an idle window never overlaps another window"
        weights, drift = [(only, 1.0)], []
    power_w = sum(weight * idle.power_w for idle, weight in weights)
    random = [
        replace(
            component,
            name=f"baseline: {component.name}",
            standard_j=component.standard_j * weight * duration_s / idle.total.duration_s,
            kind="baseline",
        )
        for idle, weight in weights
        for component in idle.total.components
        if component.kind != "gain"
    ]
    return (
        Baseline(
            power_w=power_w,
            energy_j=power_w * duration_s,
            components=(*random, *drift),
            before_w=None if before is None else before.power_w,
            after_w=None if after is None else after.power_w,
        ),
        None,
    )


def baseline_findings(windows: Sequence[Window]) -> list[Finding]:
    """What makes the net figures of a run doubtful, of the idle windows around it."""
    missing = [
        Finding(
            "baseline-missing",
            f"an idle window beside this run gave no power, so net figures lack it or their drift: {entry.device} "
            f"{entry.domain}: {entry.reason}",
        )
        for window in windows
        for entry in window.entries
        if entry.energy_j is None and entry.source != NO_SOURCE
    ]
    disturbed = [
        Finding("baseline-disturbed", f"in an idle window beside this run: {finding.message}")
        for window in windows
        for finding in window.findings
        if finding.code in DISTURBING
    ]
    restless = [
        Finding("baseline-not-settled", _restless_words(settling["powers_w"], settling["waited_s"]))
        for window in windows
        if (settling := window.facts.get("settling")) is not None and settling["settled"] is False
    ]
    return [*missing, *disturbed, *restless]


def _restless_words(powers_w: Sequence[float], waited_s: float) -> str:
    return (
        f"power had not settled {waited_s:.0f} s after the work before an idle window ended: it went from "
        f"{powers_w[0]:.4g} W to {powers_w[-1]:.4g} W, {powers_w[-2]:.4g} W a second before; power and SM clocks of "
        f"successive seconds should agree within {TOLERANCE:.0%}"
    )


def net_components(gross: PhaseEnergy, baseline: Baseline) -> list[Component]:
    """Budget of gross less baseline: both readings share the instrument's gain, so it scales with their difference."""
    assert gross.energy_j
    share = abs(gross.energy_j - baseline.energy_j) / gross.energy_j
    return [
        replace(component, standard_j=component.standard_j * share) if component.kind == "gain" else component
        for component in gross.components
    ] + list(baseline.components)


def _idle_windows(entries: Sequence[LedgerEntry]) -> list[_Idle]:
    windows: dict[tuple[float, float], list[LedgerEntry]] = {}
    for entry in entries:
        if entry.phase == RESIDENT:
            windows.setdefault((entry.start_monotonic_s, entry.end_monotonic_s), []).append(entry)
    return [_Idle(primary_energy(of_one, RESIDENT), sum(edges) / 2) for edges, of_one in windows.items()]


def _why_none(entries: Sequence[LedgerEntry], source: str | None) -> str:
    energy = primary_energy(entries, RESIDENT)
    if energy.energy_j is not None:
        return f"idle power comes from {energy.source}, energy from {source}"
    return energy.reason or "no idle power was measured (baseline.enabled)"

"""The ledger: the energy of a window, where the figure comes from, and how uncertain it is."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from llenergymeasure.energy.integration.sensors import PartTime
from llenergymeasure.energy.integration.step_aliasing import Cycles
from llenergymeasure.energy.uncertainty import describe_budget, expanded, rectangular, standard
from llenergymeasure.records.finding import Finding
from llenergymeasure.records.ledger import Component
from llenergymeasure.records.ledger import LedgerEntry as LedgerEntry

MEASURED = "measured:"
ESTIMATED = "estimated:"
NO_SOURCE = "none"


def is_estimated(source: str | None) -> bool:
    """Whether a source, or any part of a sum of sources, is an estimate."""
    return source is not None and any(part.startswith(ESTIMATED) for part in source.split("+"))


class Account(NamedTuple):
    """What an entry is booked under: one domain of one device, and where its figures come from."""

    device: str
    domain: str
    source: str


@dataclass(frozen=True)
class Interval:
    """Energy of one device in a piece of a window, between two ticks or samples; seconds on the window's clock."""

    device: str
    start_s: float
    end_s: float
    energy_j: float


@dataclass(frozen=True)
class Finished:
    """What a meter or a watcher reports of a window.

    entries: one per device and domain; none from a watcher
    intervals: where it saw more than the edges, the pieces of the window in order
    findings: what makes the window doubtful
    facts: what was read, for the record
    sensors: device → how its sensor looks, of those that see a part of the time
    rebook: device → its entry once it is known what repeated in the window, of those that this concerns
    """

    entries: Sequence[LedgerEntry] = ()
    intervals: Sequence[Interval] = ()
    findings: Sequence[Finding] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    sensors: Mapping[str, PartTime] = field(default_factory=dict)
    rebook: Mapping[str, Callable[[Sequence[Cycles]], LedgerEntry]] = field(default_factory=dict)


@dataclass(frozen=True)
class Span:
    """One window on the one clock: the same start and end for time and for energy.

    same_work: what ran in the window ran before its start and after its end too, so that power is the same around both
    """

    phase: str
    start_s: float
    end_s: float
    same_work: bool = False

    @property
    def duration_s(self) -> float:
        return self.end_s - self.start_s

    def known(
        self,
        device: str,
        domain: str,
        source: str,
        energy_j: float,
        components: Sequence[Component],
        *,
        remark: str = "",
        cross_check: Mapping[str, Any] | None = None,
    ) -> LedgerEntry:
        """The entry of a device whose energy is known, with its budget; `remark` is added to the words."""
        return replace(
            self._entry(device, domain, source),
            energy_j=energy_j,
            reason=None,
            standard_uncertainty_j=standard(components) if components else None,
            expanded_uncertainty_j=expanded(components) if components else None,
            components=tuple(components),
            uncertainty_basis="; ".join(
                part for part in (describe_budget(components) if components else "", remark) if part
            ),
            cross_check=cross_check,
        )

    def unknown(self, device: str, domain: str, source: str, reason: str) -> LedgerEntry:
        """The entry of a device whose energy is not known, with the reason."""
        return replace(self._entry(device, domain, source), reason=reason, uncertainty_basis=f"no figure: {reason}")

    def _entry(self, device: str, domain: str, source: str) -> LedgerEntry:
        return LedgerEntry(
            phase=self.phase,
            device=device,
            domain=domain,
            energy_j=None,
            duration_s=self.duration_s,
            source=source,
            standard_uncertainty_j=None,
            uncertainty_basis="",
            start_monotonic_s=self.start_s,
            end_monotonic_s=self.end_s,
            reason="not read",
        )


@dataclass(frozen=True)
class PhaseEnergy:
    """Energy of a phase over all its devices. `energy_j` is None exactly when `reason` says why.

    components: the budget of the sum, one per device and contribution; empty where a meter states none
    """

    energy_j: float | None
    source: str | None
    reason: str | None
    components: tuple[Component, ...] = ()
    duration_s: float = 0.0

    @property
    def standard_uncertainty_j(self) -> float | None:
        return standard(self.components) if self.components else None

    @property
    def expanded_uncertainty_j(self) -> float | None:
        return expanded(self.components) if self.components else None


def with_pauses(entry: LedgerEntry, paused_s: float) -> LedgerEntry:
    """The entry of a window whose work paused between its passes.

    A pause takes from nothing to the mean power, and none of it is the work's: all of it is a bound of the excess.
    """
    if entry.energy_j is None or not entry.components:
        return entry
    bound_j = entry.energy_j * paused_s / entry.duration_s
    pauses = Component(
        f"pauses of {paused_s * 1e3:.0f} ms between passes", rectangular(2 * bound_j), "edge", "rectangular"
    )
    components = (*entry.components, pauses)
    return replace(
        entry,
        components=components,
        standard_uncertainty_j=standard(components),
        expanded_uncertainty_j=expanded(components),
        uncertainty_basis=f"{entry.uncertainty_basis}; {pauses.name}: {pauses.standard_j:.3g} J",
    )


def primary_energy(entries: Iterable[LedgerEntry], phase: str) -> PhaseEnergy:
    """The energy of a phase.

    The measured entries of the phase are summed; where there are none, the estimated ones; the two are never
    added. One missing figure makes the sum unknown (None and the reason), not smaller, and a measured figure
    that is missing is not replaced by an estimate. Uncertainties: different devices and domains are
    independent and add in quadrature (GUM 5.1.2); several windows of one device share its gain, which adds
    linearly (GUM 5.2.2, correlation 1), and nothing else.
    """
    of_phase = [entry for entry in entries if entry.phase == phase]
    unmetered = [entry for entry in of_phase if entry.source == NO_SOURCE]
    if unmetered:
        return PhaseEnergy(None, None, unmetered[0].reason)
    for family in (MEASURED, ESTIMATED):
        chosen = [entry for entry in of_phase if entry.source.startswith(family)]
        if chosen:
            return _sum(chosen)
    return PhaseEnergy(None, None, f"no energy was recorded for the phase {phase!r}")


def _sum(entries: list[LedgerEntry]) -> PhaseEnergy:
    source = "+".join(sorted({entry.source for entry in entries}))
    windows_s = {(entry.start_monotonic_s, entry.end_monotonic_s) for entry in entries}
    duration_s = math.fsum(end_s - start_s for start_s, end_s in windows_s)
    missing = [entry for entry in entries if entry.energy_j is None]
    if missing:
        reasons = (f"{entry.device} {entry.domain}: {entry.reason}" for entry in missing)
        return PhaseEnergy(None, source, "; ".join(reasons), duration_s=duration_s)
    energy_j = math.fsum(entry.energy_j for entry in entries if entry.energy_j is not None)
    if any(not entry.components for entry in entries):
        return PhaseEnergy(energy_j, source, None, duration_s=duration_s)
    gains: dict[tuple[str, str, str], list[Component]] = defaultdict(list)
    others: list[Component] = []
    for entry in entries:
        for component in entry.components:
            if component.kind == "gain":
                gains[entry.device, entry.domain, component.name].append(component)
            else:
                others.append(component)
    shared = [
        replace(same[0], standard_j=math.fsum(component.standard_j for component in same)) for same in gains.values()
    ]
    return PhaseEnergy(energy_j, source, None, (*others, *shared), duration_s)

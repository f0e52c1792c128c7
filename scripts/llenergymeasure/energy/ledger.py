"""The ledger: what a window's energy is, where the figure comes from and how far it can be trusted."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

MEASURED = "measured:"
ESTIMATED = "estimated:"
NO_SOURCE = "none"


@dataclass(frozen=True)
class LedgerEntry:
    """Energy of one domain of one device in one window.

    `energy_j` is None exactly when `reason` says why; it is never 0 for want of a reading. `source` is
    `measured:<how>`, `estimated:<by what>`, or `none` where no meter covers the device. The uncertainty is
    one standard deviation in joules; `uncertainty_basis` names its components. Start and end are
    `time.perf_counter` seconds, the same for all entries of a window.
    """

    phase: str
    device: str
    domain: str
    energy_j: float | None
    duration_s: float
    source: str
    standard_uncertainty_j: float | None
    uncertainty_basis: str
    start_monotonic_s: float
    end_monotonic_s: float
    reason: str | None = None

    def __post_init__(self) -> None:
        if (self.energy_j is None) != (self.reason is not None):
            raise ValueError("a ledger entry has either energy_j or a reason why it has none")

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Span:
    """One window on the one clock: the same start and end for time and for energy."""

    phase: str
    start_s: float
    end_s: float

    @property
    def duration_s(self) -> float:
        return self.end_s - self.start_s

    def entry(
        self,
        device: str,
        domain: str,
        source: str,
        *,
        energy_j: float | None = None,
        standard_uncertainty_j: float | None = None,
        uncertainty_basis: str = "",
        reason: str | None = None,
    ) -> LedgerEntry:
        """The ledger entry of a device over this window."""
        return LedgerEntry(
            phase=self.phase,
            device=device,
            domain=domain,
            energy_j=energy_j,
            duration_s=self.duration_s,
            source=source,
            standard_uncertainty_j=standard_uncertainty_j,
            uncertainty_basis=uncertainty_basis or f"no figure: {reason}",
            start_monotonic_s=self.start_s,
            end_monotonic_s=self.end_s,
            reason=reason,
        )


def primary_energy(
    entries: Iterable[LedgerEntry], phase: str
) -> tuple[float | None, float | None, str | None, str | None]:
    """The energy of a phase: (energy_j, standard_uncertainty_j, source, reason).

    The measured entries of the phase are summed; where there are none, the estimated ones; the two are never
    added. One missing figure makes the sum unknown (None and the reason), not smaller, and a measured figure
    that is missing is not replaced by an estimate. Uncertainties: different devices and domains are
    independent and add in quadrature (GUM 5.1.2); several windows of one device share its gain and add
    linearly (GUM 5.2.2, correlation 1).
    """
    of_phase = [entry for entry in entries if entry.phase == phase]
    unmetered = [entry for entry in of_phase if entry.source == NO_SOURCE]
    if unmetered:
        return None, None, None, unmetered[0].reason
    for family in (MEASURED, ESTIMATED):
        chosen = [entry for entry in of_phase if entry.source.startswith(family)]
        if chosen:
            return _sum(chosen)
    return None, None, None, f"no energy was recorded for the phase {phase!r}"


def _sum(entries: list[LedgerEntry]) -> tuple[float | None, float | None, str, str | None]:
    source = "+".join(sorted({entry.source for entry in entries}))
    missing = [entry for entry in entries if entry.energy_j is None]
    if missing:
        reasons = (f"{entry.device} {entry.domain}: {entry.reason}" for entry in missing)
        return None, None, source, "; ".join(reasons)
    energy_j = math.fsum(entry.energy_j for entry in entries if entry.energy_j is not None)
    per_device: dict[tuple[str, str], float] = defaultdict(float)
    for entry in entries:
        if entry.standard_uncertainty_j is None:
            return energy_j, None, source, None
        per_device[entry.device, entry.domain] += entry.standard_uncertainty_j
    return energy_j, math.hypot(*per_device.values()), source, None

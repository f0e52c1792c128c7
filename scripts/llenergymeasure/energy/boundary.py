"""The system boundary of a study: which domains its energy figures sum (`energy.boundary`)."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

from llenergymeasure.energy.ledger import MEASURED, NO_SOURCE, Interval, LedgerEntry, Span
from llenergymeasure.records.ledger import DOMAINS

# The domain of the entry of a machine that nothing meters: it lacks every domain.
TOTAL = "total"


def apply_boundary(
    boundary: Collection[str] | None, span: Span, entries: Sequence[LedgerEntry], intervals: Sequence[Interval]
) -> tuple[list[LedgerEntry], list[Interval]]:
    """A window's entries with those outside the boundary marked, and the intervals of the devices inside it.

    A domain that the boundary names and nothing meters gets an entry without energy, with the reason: the sum is then
    unknown, not smaller. boundary: None where the study names none: every entry is inside.
    """
    if boundary is None:
        return list(entries), list(intervals)
    marked = [replace(entry, in_boundary=entry.domain in boundary or entry.domain == TOTAL) for entry in entries]
    lacking = _lacking(boundary, span, [entry for entry in marked if entry.in_boundary])
    outside = {entry.device for entry in marked if not entry.in_boundary}
    inside = {entry.device for entry in marked if entry.in_boundary}
    if outside & inside:
        # The trace of such a device is that of all its domains together.
        return [*marked, *lacking], []
    return [*marked, *lacking], [piece for piece in intervals if piece.device in inside]


def _lacking(boundary: Collection[str], span: Span, inside: Sequence[LedgerEntry]) -> Iterator[LedgerEntry]:
    """An entry for each domain of the boundary that is not metered, or only estimated where another one is measured."""
    if any(entry.domain == TOTAL for entry in inside):
        return
    any_measured = any(entry.source.startswith(MEASURED) for entry in inside)
    for domain in dict.fromkeys(boundary):
        booked = [entry for entry in inside if entry.domain == domain]
        if not booked:
            reason = (
                f"energy.boundary names {domain}, and no meter of this run covers {DOMAINS[domain]}; make its meter "
                f"work (snakemake doctor says what it lacks), or remove {domain} from energy.boundary"
            )
            yield span.unknown(domain, domain, NO_SOURCE, reason)
        elif any_measured and not any(entry.source.startswith((MEASURED, NO_SOURCE)) for entry in booked):
            reason = (
                f"energy.boundary names {domain}, which is only an estimate ({booked[0].source}), beside a domain that "
                "is measured; the two are never added"
            )
            yield span.unknown(domain, domain, NO_SOURCE, reason)

"""Evidence of an experiment over its replicates."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from llenergymeasure.records.evidence import SettingEvidence
from llenergymeasure.records.labels import value_label

# Worst first: what one replicate ignored is not excused by the others.
VERDICTS = ("ignored", "unverifiable", "applied", "default")


@dataclass(frozen=True)
class EvidenceRow:
    """One parameter: the worst verdict among the replicates, with what was observed there."""

    path: str
    requested: str
    effective: str
    observed: str
    verdict: str


def merge_evidence(replicates: Iterable[Mapping[str, SettingEvidence]]) -> list[EvidenceRow]:
    """One row per parameter, worst verdict first, then in the order of declaration.

    replicates: the evidence of each, parameter → entry
    """
    entries: dict[str, list[SettingEvidence]] = {}
    for evidence in replicates:
        for path, entry in evidence.items():
            entries.setdefault(path, []).append(entry)
    rows = [_merge(path, several) for path, several in entries.items()]
    return sorted(rows, key=lambda row: VERDICTS.index(row.verdict))


def _merge(path: str, entries: list[SettingEvidence]) -> EvidenceRow:
    worst = min(entries, key=lambda entry: VERDICTS.index(entry.verdict))
    effective = list(dict.fromkeys(value_label(entry.effective) for entry in entries))
    return EvidenceRow(
        path=path,
        requested="" if worst.requested is None else value_label(worst.requested),
        effective=" / ".join(effective) + (" (differs between replicates)" if len(effective) > 1 else ""),
        observed=worst.observed,
        verdict=worst.verdict,
    )

"""Evidence of an experiment over its replicates."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from llenergymeasure.records.labels import value_label

# Worst first: what one replicate ignored is not excused by the others.
VERDICTS = ("ignored", "unverifiable", "applied", "default")


@dataclass(frozen=True)
class Finding:
    """One parameter: the worst verdict among the replicates, with what was seen there."""

    path: str
    requested: str
    effective: str
    observed: str
    verdict: str


def merged_evidence(records: Iterable[Mapping[str, Any]]) -> list[Finding]:
    """Every parameter once, worst verdict first, then by the order of declaration."""
    entries: dict[str, list[Mapping[str, Any]]] = {}
    for record in records:
        for path, entry in record["evidence"].items():
            entries.setdefault(path, []).append(entry)
    found = []
    for path, several in entries.items():
        worst = min(several, key=lambda entry: VERDICTS.index(entry["verdict"]))
        effective = list(dict.fromkeys(value_label(entry["effective"]) for entry in several))
        found.append(
            Finding(
                path=path,
                requested="" if worst["requested"] is None else value_label(worst["requested"]),
                effective=" / ".join(effective) + (" (differs between replicates)" if len(effective) > 1 else ""),
                observed=worst["observed"],
                verdict=worst["verdict"],
            )
        )
    return sorted(found, key=lambda item: VERDICTS.index(item.verdict))

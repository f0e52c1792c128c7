"""What runs were judged by and warned of, grouped by code.

A message has the figures of its run, so one cause in three replicates has three messages. All have the same code.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from llenergymeasure.records.findings import FINDINGS


@dataclass(frozen=True)
class RunFinding:
    """One reason of a run's verdict, or one of its warnings."""

    experiment_id: str
    replicate: int
    code: str
    message: str


@dataclass(frozen=True)
class FindingGroup:
    """All findings of one code.

    runs, experiments: how many of them have it
    example: the message of the first run
    other_messages: how many more there are beside the example
    """

    code: str
    runs: int
    experiments: int
    example: str
    other_messages: int

    @property
    def meaning(self) -> str:
        """When the code is raised; empty for a code of another version."""
        return FINDINGS[self.code].meaning if self.code in FINDINGS else ""

    @property
    def advice(self) -> str:
        """What to do about it."""
        return advice(self.code)


def group_by_code(findings: Iterable[RunFinding]) -> list[FindingGroup]:
    """One group per code, that of the most runs first."""
    by_code: dict[str, list[RunFinding]] = {}
    for finding in findings:
        by_code.setdefault(finding.code, []).append(finding)
    groups = [_group(code, members) for code, members in by_code.items()]
    return sorted(groups, key=lambda group: -group.runs)


def _group(code: str, members: list[RunFinding]) -> FindingGroup:
    return FindingGroup(
        code=code,
        runs=len({(member.experiment_id, member.replicate) for member in members}),
        experiments=len({member.experiment_id for member in members}),
        example=members[0].message,
        other_messages=len({member.message for member in members}) - 1,
    )


def advice(code: str) -> str:
    """What to do about a code; empty for a code of another version."""
    return FINDINGS[code].advice if code in FINDINGS else ""

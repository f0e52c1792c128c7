"""What went wrong and what is doubtful: failures, warnings, and the verdict on a run."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

from pydantic import Field

from llenergymeasure.records.record import Record

Status = Literal["ok", "failed", "invalid"]


class Failure(Record):
    """Why there are no figures: the stage, the class of the error, the reason in words, and the log with the rest."""

    stage: str
    error_class: str = Field(alias="class")
    reason: str
    log: str

    @classmethod
    def of(cls, stage: str, error_class: str, reason: str, log: Path) -> Self:
        return cls.from_plain({"stage": stage, "class": error_class, "reason": reason, "log": str(log)})


class WarningRecord(Record):
    """A remark on a run that keeps its figures."""

    code: str
    message: str


class Reason(Record):
    """One finding that a verdict rests on."""

    code: str
    severity: Literal["suspect", "invalid"]
    message: str


class Validity(Record):
    """`valid`, `suspect` (in the mean where fewer than two others remain) or `invalid` (not in it).

    The worst reason decides.
    """

    verdict: Literal["valid", "suspect", "invalid"]
    reasons: tuple[Reason, ...]

    def codes(self) -> list[str]:
        """The codes of the reasons, each once."""
        return list(dict.fromkeys(reason.code for reason in self.reasons))

"""One thing that was seen in a run, by its code in the catalogue of findings."""

from __future__ import annotations

from dataclasses import dataclass

from llenergymeasure.records.findings import FINDINGS
from llenergymeasure.records.severity import WARNING, Severity


@dataclass(frozen=True)
class Finding:
    """One thing that was seen in a run. ValueError where the code is not in the catalogue.

    message: with the run's own figures
    """

    code: str
    message: str

    def __post_init__(self) -> None:
        if self.code not in FINDINGS:
            raise ValueError(f"{self.code} is not in the catalogue of findings (records/findings.py)")

    @property
    def severity(self) -> Severity:
        """How much it weighs: that of its code."""
        return FINDINGS[self.code].severity

    def to_dict(self) -> dict[str, str]:
        """As a record's verdict holds it."""
        return {"code": self.code, "severity": self.severity, "message": self.message}


def warning(code: str, message: str) -> dict[str, str]:
    """A warning in the form of a record. ValueError where the code is not the code of a warning."""
    finding = Finding(code, message)
    if finding.severity != WARNING:
        raise ValueError(f"{code} is {finding.severity}: raise it as a finding of the verdict")
    return {"code": code, "message": message}

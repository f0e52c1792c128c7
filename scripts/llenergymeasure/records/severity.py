"""How much a finding about a run weighs, and what is said of each kind of finding."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Severity = Literal["invalid", "suspect", "warning"]
INVALID: Literal["invalid"] = "invalid"
SUSPECT: Literal["suspect"] = "suspect"
WARNING: Literal["warning"] = "warning"


@dataclass(frozen=True)
class Kind:
    """One kind of finding.

    severity: invalid: the run is not what was asked for, and is not part of any mean; suspect: its figures are in the
        means and are marked; warning: its figures stand, and a reader should know
    meaning: when it is raised
    advice: what to do
    """

    severity: Severity
    meaning: str
    advice: str

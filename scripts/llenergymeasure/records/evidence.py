"""Whether a setting took effect: what was requested, what is in force, and what was observed."""

from __future__ import annotations

from typing import Any, Literal

from llenergymeasure.records.record import Record

Verdict = Literal["default", "applied", "unverifiable", "ignored"]


class SettingEvidence(Record):
    """The evidence of one setting. `default`: it is not set. `ignored`: it is set and did not take effect."""

    requested: Any
    effective: Any
    observed: str
    verdict: Verdict

"""Whether a setting took effect: what was asked for, what is in force, and what was seen of it."""

from __future__ import annotations

from typing import Any, Literal

from llenergymeasure.records.record import Record

Verdict = Literal["default", "applied", "unverifiable", "ignored"]


class SettingEvidence(Record):
    """Of one setting. `default`: nobody set it. `ignored`: it was set and did not take effect."""

    requested: Any
    effective: Any
    observed: str
    verdict: Verdict

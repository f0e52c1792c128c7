"""Whether a run's figures may be used: `valid`, `suspect` or `invalid`, with every reason."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from llenergymeasure.records.finding import Finding
from llenergymeasure.records.severity import INVALID, SUSPECT, WARNING

VALID = "valid"


def judge(findings: Iterable[Finding]) -> dict[str, Any]:
    """The verdict and its reasons; the worst reason decides. ValueError for a warning: it is not a reason."""
    reasons = list(dict.fromkeys(findings))
    if remarks := [reason.code for reason in reasons if reason.severity == WARNING]:
        raise ValueError(f"not findings of a verdict: {', '.join(remarks)}; raise them with records.finding.warning")
    severities = {reason.severity for reason in reasons}
    verdict = INVALID if INVALID in severities else SUSPECT if SUSPECT in severities else VALID
    return {"verdict": verdict, "reasons": [reason.to_dict() for reason in reasons]}


def ignored_settings(evidence: Mapping[str, Mapping[str, Any]]) -> list[Finding]:
    """A finding per setting that did not take effect: the run is one of another experiment."""
    return [
        Finding("setting-ignored", f"{path} = {entry['requested']!r} did not take effect: {entry['observed']}")
        for path, entry in evidence.items()
        if entry["verdict"] == "ignored"
    ]


def logits_not_finite(bad_rows: int, rows: int) -> list[Finding]:
    """Logits of the first pass that are NaN or infinite: what was generated from them means nothing.

    Also where no logits passed by: a model may bring its own way of generating.
    """
    if not rows:
        message = "the model generates in its own way, so its logits were not checked for NaN and infinity"
        return [Finding("logits-not-checked", message)]
    if not bad_rows:
        return []
    message = (
        f"{bad_rows} of {rows} rows of the model's logits in the first pass hold NaN or infinity: its weights do, or "
        "its numbers overflow (try precision: bf16 or fp32)"
    )
    return [Finding("logits-not-finite", message)]

"""Verdicts: the worst finding decides."""

from __future__ import annotations

import pytest

from llenergymeasure.measurement.validity import ignored_settings, judge
from llenergymeasure.records.finding import Finding


def test_the_worst_finding_decides_and_each_is_named_once() -> None:
    suspect = Finding("throttled", "it was throttled")
    invalid = Finding("ecc-errors", "memory errors")
    assert judge([]) == {"verdict": "valid", "reasons": []}
    assert judge([suspect, suspect]) == {"verdict": "suspect", "reasons": [suspect.to_dict()]}
    assert judge([suspect, invalid])["verdict"] == "invalid"


def test_an_ignored_setting_is_invalid() -> None:
    evidence = {
        "decoder.top_k": {"requested": 5, "observed": "50 tokens kept", "verdict": "ignored"},
        "precision": {"requested": "fp32", "observed": "float32", "verdict": "applied"},
    }
    (finding,) = ignored_settings(evidence)
    assert (finding.code, finding.severity) == ("setting-ignored", "invalid")
    assert "decoder.top_k = 5" in finding.message and "50 tokens kept" in finding.message


def test_a_warning_is_not_a_reason_of_a_verdict() -> None:
    with pytest.raises(ValueError, match=r"outputs-vary; raise them with records\.finding\.warning"):
        judge([Finding("outputs-vary", "the second pass differs")])

"""The problems that the validate job found are printed again, for the same plan only."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from llenergymeasure.pipeline.run.previous_validation import previous_problems
from llenergymeasure.records.schema import SCHEMA_VERSION

FOUND = {
    "severity": "warning",
    "path": "decoder.top_p",
    "message": "is ignored",
    "hint": "remove it",
    "rule": "library-ignores",
    "file": None,
    "line": None,
    "experiments": 2,
}


def record(folder: Path, **changes: object) -> Path:
    path = folder / "validation.json"
    path.write_text(json.dumps({"schema_version": SCHEMA_VERSION, "plan_digest": "d", "problems": [FOUND], **changes}))
    return path


def test_each_problem_has_its_count(tmp_path: Path) -> None:
    (problem,) = previous_problems(record(tmp_path), "d", 5)
    assert problem.render() == "decoder.top_p: is ignored (2 of 5 experiments); remove it [library-ignores]"


def test_problems_of_another_plan_are_not_repeated(tmp_path: Path) -> None:
    assert previous_problems(tmp_path / "validation.json", "d", 5) == []
    assert previous_problems(record(tmp_path), "e", 5) == []


@pytest.mark.parametrize("problems", [None, [3], [{"severity": "warning"}], [{**FOUND, "colour": "red"}]])
def test_a_damaged_record_is_not_a_mistake_of_the_study(tmp_path: Path, problems: object) -> None:
    assert previous_problems(record(tmp_path, problems=problems), "d", 5) == []

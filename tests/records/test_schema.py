"""Results of another schema are one line; of this one, every record is read and written whole."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from results.study_folder import StudyFolder, study_folder

from llenergymeasure.pipeline.provenance.rerun_source import RerunError, plan_in
from llenergymeasure.records.measurement import MeasurementRecord
from llenergymeasure.records.schema import SCHEMA_VERSION
from llenergymeasure.records.setup import LoadRecord
from llenergymeasure.records.storage.layout import Layout
from llenergymeasure.records.study.plan import PlanError, read_plan
from llenergymeasure.results.reading.errors import ResultsError

COMMIT = "ab" * 20


@pytest.fixture
def folder(tmp_path: Path) -> StudyFolder:
    return study_folder(tmp_path / "study").write()


def rewrite(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text("utf-8")), **changes}), "utf-8")


def as_before_4(folder: StudyFolder) -> None:
    """The plan as version 3 of the records had it, whose plans were of version 2."""
    plan = json.loads(Layout(folder.root).plan.read_text("utf-8"))
    plan["schema_version"] = 2
    plan["batches"] = [
        {"batch_id": session["session_id"], "load_id": session["setup_id"], "experiments": session["experiments"]}
        for session in plan.pop("sessions")
    ]
    for entry in plan["experiments"].values():
        entry["batch_id"], entry["load_id"] = entry.pop("session_id"), entry.pop("setup_id")
    Layout(folder.root).plan.write_text(json.dumps(plan), "utf-8")
    Layout(folder.root).provenance.mkdir()
    Layout(folder.root).calls.write_text(json.dumps({"git_commit": COMMIT}) + "\n", "utf-8")


def test_an_old_plan_says_who_wrote_it_where_it_is_and_what_to_do(folder: StudyFolder) -> None:
    as_before_4(folder)
    with pytest.raises(PlanError) as caught:
        read_plan(Layout(folder.root).plan)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(f"{folder.root}/plan.json has schema version 2, written by llenergymeasure 0.1.0 at ")
    assert f"at commit {COMMIT[:12]}; " in message
    assert f"reads {SCHEMA_VERSION}: move {folder.root} away" in message
    assert "use the version that wrote it" in message


def test_a_rerun_of_old_results_is_one_line_that_deletes_nothing(folder: StudyFolder) -> None:
    as_before_4(folder)
    with pytest.raises(RerunError) as caught:
        plan_in(folder.root)
    message = str(caught.value)
    assert "\n" not in message
    assert "has schema version 2" in message and "use the version that wrote it" in message
    assert "delete" not in message and "move" not in message


def test_an_old_measurement_or_load_record_is_one_line(folder: StudyFolder) -> None:
    path = folder.measurements()[0]
    lines = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    for line in lines:
        line["schema_version"], line["batch_id"], line["load_id"] = 3, line.pop("session_id"), line.pop("setup_id")
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    with pytest.raises(ResultsError, match=r"^[^\n]*measurements\.jsonl has schema version 3[^\n]*move [^\n]*$"):
        folder.aggregate()
    folder.write()
    rewrite(folder.setups()[0], schema_version=3)
    with pytest.raises(ResultsError, match=r"^[^\n]*load\.json has schema version 3[^\n]*move [^\n]*$"):
        folder.aggregate()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"surprise": 1}, "surprise = 1"),
        ({"replicate": "1"}, "replicate = '1'"),
        ({"metrics": {"ttft_s": "fast"}}, "metrics.ttft_s"),
        ({"validity": {"verdict": "perhaps", "reasons": []}}, "validity.verdict = 'perhaps'"),
        ({"environment": {}}, "environment.fingerprint"),
    ],
)
def test_a_foreign_key_or_value_is_named(folder: StudyFolder, change: dict[str, Any], says: str) -> None:
    path = folder.measurements()[0]
    first, *rest = path.read_text("utf-8").splitlines()
    path.write_text("\n".join([json.dumps({**json.loads(first), **change}), *rest]) + "\n", "utf-8")
    with pytest.raises(ResultsError, match=r"measurements\.jsonl:1: ") as caught:
        folder.aggregate()
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_record_that_is_written_again_is_the_same(folder: StudyFolder) -> None:
    for path in folder.measurements():
        for line in path.read_text("utf-8").splitlines():
            assert MeasurementRecord.model_validate_json(line).to_plain() == json.loads(line)
    for path in folder.setups():
        assert LoadRecord.model_validate_json(path.read_bytes()).to_plain() == json.loads(path.read_text("utf-8"))

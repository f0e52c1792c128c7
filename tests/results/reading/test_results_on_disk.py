"""Nothing half-written is taken for a result; what has left the study is omitted and counted."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from results.study_folder import StudyFolder, study_folder

from llenergymeasure.records.schema import SCHEMA_VERSION
from llenergymeasure.results.reading.errors import ResultsError


@pytest.fixture
def folder(tmp_path: Path) -> StudyFolder:
    return study_folder(tmp_path / "study").write()


def refused(folder: StudyFolder) -> str:
    with pytest.raises(ResultsError) as caught:
        folder.aggregate()
    message = str(caught.value)
    assert "\n" not in message
    assert "run again" in message
    return message


def test_a_last_line_cut_off_is_an_error(folder: StudyFolder) -> None:
    path = folder.measurements()[0]
    path.write_bytes(path.read_bytes()[:-40])
    assert f"{path}:2 is not whole" in refused(folder)


def test_a_missing_line_is_an_error_that_names_the_run(folder: StudyFolder) -> None:
    path = folder.measurements()[-1]
    kept, lost = path.read_text("utf-8").splitlines(keepends=True)
    path.write_text(kept, "utf-8")
    record = json.loads(lost)
    message = refused(folder)
    assert f"experiment {record['experiment_id']}, replicate {record['replicate']}" in message
    assert f"sessions/{record['session_id']}/{record['replicate']}" in message


def test_a_run_measured_twice_is_an_error(folder: StudyFolder) -> None:
    path = folder.measurements()[0]
    path.write_text(path.read_text("utf-8") + path.read_text("utf-8").splitlines()[0] + "\n", "utf-8")
    assert "a second time" in refused(folder)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("{}", "lacks schema_version"),
        ("[1]", "lacks schema_version"),
        (f'{{"schema_version": {SCHEMA_VERSION}, "experiment_id": "x"}}', "lacks session_id"),
    ],
)
def test_a_line_that_is_not_a_record_is_an_error(folder: StudyFolder, line: str, says: str) -> None:
    folder.measurements()[0].write_text(line + "\n", "utf-8")
    assert says in refused(folder)


@pytest.mark.parametrize(("key", "value"), [("schema_version", 99), ("status", "fine")])
def test_a_record_of_another_kind_is_an_error(folder: StudyFolder, key: str, value: object) -> None:
    path = folder.measurements()[0]
    lines = [{**json.loads(line), key: value} for line in path.read_text("utf-8").splitlines()]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    assert str(value) in refused(folder)


def test_broken_plans_load_records_and_requests_are_errors(folder: StudyFolder) -> None:
    folder.setups()[0].write_text('{"setup_id": ', "utf-8")
    assert "load.json is not whole" in refused(folder)
    folder.write().aggregate()
    folder.measurements()[0].with_name("requests.parquet").write_bytes(b"PAR1")
    with pytest.raises(ResultsError, match=r"requests\.parquet cannot be read"):
        folder.aggregate()
    folder.measurements()[0].with_name("requests.parquet").unlink()
    with pytest.raises(ResultsError, match=r"requests\.parquet cannot be read"):
        folder.aggregate()
    folder.write()
    (folder.root / "runs.parquet").write_bytes(b"")
    with pytest.raises(ResultsError, match=r"runs\.parquet cannot be read"):
        folder.read()


def test_a_setup_without_record_is_an_error(folder: StudyFolder) -> None:
    record = json.loads(folder.setups()[0].read_text("utf-8"))
    folder.setups()[0].write_text(json.dumps({**record, "setup_id": "other"}), "utf-8")
    assert f"the record of setup {folder.plan.setup_ids[0]} is missing" in refused(folder)


def test_experiments_that_left_the_study_are_omitted_and_counted(folder: StudyFolder) -> None:
    plan = json.loads((folder.root / "plan.json").read_text("utf-8"))
    gone = folder.ids[1]
    del plan["experiments"][gone]
    plan["sessions"][0]["experiments"].remove(gone)
    (folder.root / "plan.json").write_text(json.dumps(plan), "utf-8")
    results = folder.aggregate().read()
    assert results.left_out == 3
    assert list(results.summary["experiment_id"]) == [name for name in folder.ids if name != gone]
    assert gone not in set(results.runs["experiment_id"])
    assert gone not in results.latencies

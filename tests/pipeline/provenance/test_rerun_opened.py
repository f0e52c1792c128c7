"""A study is opened again from its results folder as it was, or not at all; the folder is anybody's."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from pipeline.provenance.rerun_folder import begun

from llenergymeasure.config import load_study
from llenergymeasure.config.study.lock import FileHash, ModelsLock, Pin, write_lock
from llenergymeasure.pipeline.plan.plan import plan_from_study
from llenergymeasure.pipeline.provenance.rerun import Rerun, asked_for, open_rerun
from llenergymeasure.pipeline.provenance.rerun_record import (
    RecordError,
    changes,
    describe,
    keep_rerun_of,
    read_rerun_of,
)
from llenergymeasure.pipeline.provenance.rerun_source import RerunError
from llenergymeasure.records.measurement import MeasurementRecord
from llenergymeasure.records.schema import SCHEMA_VERSION
from llenergymeasure.records.study.equivalence import Equivalence
from llenergymeasure.records.study.plan import Plan
from llenergymeasure.records.study.provenance import InstalledEnvironment
from llenergymeasure.records.validity import Failure

OLD = Path("results/quick")


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def reopened(**config: Any) -> Rerun:
    return open_rerun(asked_for({"from": str(OLD), **config}))


def refused(**config: Any) -> str:
    with pytest.raises(RerunError) as caught:
        reopened(**config)
    message = str(caught.value)
    assert "\n" not in message
    return message


def tamper(change: Callable[[dict[str, Any]], None]) -> None:
    path = OLD / "plan.json"
    record = json.loads(path.read_text("utf-8"))
    change(record)
    path.write_text(json.dumps(record), "utf-8")


def test_the_plan_is_the_same_under_another_name() -> None:
    before = begun(OLD, costs={"pue": 1.5})
    rerun = reopened(order="same")
    assert rerun.plan.study == rerun.study.name == "quick-rerun"
    assert {**rerun.plan.to_dict(), "study": "quick"} == before.to_dict()
    assert rerun.study.config.costs.pue == 1.5
    assert rerun.study.measurement.min_window_s == 0.3
    assert not rerun.finished
    # What was repeated can be repeated.
    assert reopened(study="by-another-name").plan.study == "by-another-name"


@pytest.mark.parametrize(
    "measurement",
    [
        {"reference": {"pytorch.batch_size": 2}},
        {"replicates": 3, "target_relative_ci": 0.05, "target_metric": "ttft_s", "order": "interleaved"},
    ],
)
def test_the_resolved_study_is_a_study_that_gives_the_same_plan(measurement: dict[str, Any]) -> None:
    before = begun(OLD, measurement=measurement)
    again = load_study(OLD / "provenance" / "resolved.yaml")
    assert plan_from_study(again, existing=None) == before
    assert reopened().plan.stopping == before.stopping


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ({"from": 3}, "--config from: is 3"),
        ({"from": None}, "--config from: is null"),
        ({"from": " "}, "results folder of a study"),
        ({"from": "results/nothing"}, "there is no folder results/nothing"),
        ({"from": "results"}, "results does not contain plan.json"),
        ({"study": "../quick"}, "which cannot name the new results"),
        ({"study": 7}, "which cannot name the new results"),
        ({"study": "quick"}, "results/quick is what would be measured again"),
        ({"measurement": {"replicates": 5}}, "measurement is set too"),
        ({"from": ["results/quick", "results/other"]}, "a rerun repeats one folder"),
        ({"order": "reverse"}, '--config order: is "reverse"; expected: order=new or order=same'),
        ({"order": True}, "--config order: is true"),
        ({"margin": -0.01}, "--config margin: is -0.01; expected: a share, 0.0001 or more and below 1"),
        ({"margin": 0}, "--config margin: is 0"),
        ({"margin": 2}, "such as margin=0.01 for 1 %"),
        ({"margin": "1 %"}, '--config margin: is "1 %";'),
        ({"margin": True}, "--config margin: is true"),
        ({"margin": float("nan")}, "--config margin: is NaN"),
        ({"day_sd": -0.001}, "--config day_sd: is -0.001; expected: a share, 0 or more"),
        ({"margins": 0.01}, "margins is set too"),
        ({"from": "results/no\nthing\x1b[2J"}, "which cannot name the new results"),
    ],
)
def test_a_wrong_request_is_one_line(config: dict[str, Any], says: str) -> None:
    begun(OLD)
    assert says in refused(**config)


def test_what_is_asked_for_decides_the_verdicts() -> None:
    assert asked_for({"from": "a"}).within == Equivalence(0.02, 0.005)
    assert asked_for({"from": "a", "margin": 0.01, "day_sd": 0}).within == Equivalence(0.01, 0.0)


def test_the_name_made_from_a_long_folder_fits() -> None:
    assert asked_for({"from": f"archive/{'a' * 64}/"}).name == "a" * 58 + "-rerun"
    with pytest.raises(RerunError, match="study=<"):
        asked_for({"from": ".."})


def first_entry(record: dict[str, Any]) -> dict[str, Any]:
    entry: dict[str, Any] = next(iter(record["experiments"].values()))
    return entry


def rename_session(record: dict[str, Any]) -> None:
    old = record["sessions"][0]["session_id"]
    record["sessions"][0]["session_id"] = "../../evil"
    record["order"] = [["../../evil" if session == old else session, number] for session, number in record["order"]]
    for entry in record["experiments"].values():
        entry["session_id"] = "../../evil" if entry["session_id"] == old else entry["session_id"]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda record: record.update(schema_version=99), "schema version 99"),
        (lambda record: record.update(surprise=1), "not a plan"),
        (lambda record: record.update(experiments=[]), "not a plan"),
        (lambda record: record.update(sessions=5), "not a plan"),
        (lambda record: record["order"].pop(), "disagree about its order"),
        (lambda record: record.update(seed=8), "disagree about its seed"),
        (lambda record: record.update(replicates=1), "disagree about its replicates"),
        (lambda record: record.update(reference="0" * 12), "disagree about its reference"),
        (lambda record: record["protocol"].update(min_window_s=9.0), "disagree about its protocol"),
        (lambda record: first_entry(record)["config"].update(n_prompts=4), "has another id here"),
        (
            lambda record: first_entry(record)["config"].update(n_prompts="4"),
            "n_prompts = '4': Input should be a valid integer",
        ),
        (lambda record: first_entry(record)["config"].update(extra=4), "extra"),
        (lambda record: first_entry(record).update(setup_id="0" * 12), "has another id here"),
        (lambda record: first_entry(record).update(session_id="0" * 12), "not a whole plan"),
        (lambda record: first_entry(record).pop("config"), "not a plan"),
        (lambda record: record["sessions"].pop(), "not a whole plan"),
        (rename_session, "is not an id of a session"),
        (lambda record: record.update(study="=evil()"), "its study is"),
        (lambda record: record.update(warnings=5), "not a plan .warnings = 5"),
    ],
)
def test_a_plan_that_was_tampered_with_is_refused(change: Callable[[dict[str, Any]], None], says: str) -> None:
    begun(OLD)
    tamper(change)
    assert re.search(says, refused())


@pytest.mark.parametrize("text", ["", "[1]", "{", "[" * 5000, "\x00"])
def test_what_is_not_a_plan_is_refused(text: str) -> None:
    begun(OLD)
    (OLD / "plan.json").write_text(text, "utf-8")
    message = refused()
    assert "results/quick/plan.json: not a plan" in message
    assert "delete" not in message


def test_provenance_is_needed_and_checked() -> None:
    begun(OLD)
    path = OLD / "provenance" / "resolved.yaml"
    kept = yaml.safe_load(path.read_text("utf-8"))
    path.write_text(yaml.safe_dump({**kept, "costs": {"pue": 0.1}}), "utf-8")
    assert f"{path}: costs.pue" in refused()
    path.write_text("- a\n", "utf-8")
    assert "does not contain a study" in refused()
    path.write_text("a: [", "utf-8")
    assert "is not YAML" in refused()
    path.unlink()
    assert "has no provenance/resolved.yaml" in refused()


def test_what_a_results_folder_does_not_bring_must_be_there() -> None:
    Path("data.csv").write_text("prompt\nhello\nyou\nthere\n", "utf-8")
    dataset = {"source": "file", "path": "data.csv", "column": "prompt"}
    begun(OLD, defaults={"dataset": dataset, "model": "./my-model"})
    assert "./my-model, a folder that is not here" in refused()
    Path("my-model").mkdir()
    assert reopened().plan.experiments
    Path("data.csv").unlink()
    assert "the file data.csv, which is not here" in refused()


def test_the_pins_of_hub_models_come_along_and_no_others() -> None:
    lock = Path("config/models.lock.yaml")
    files = {"model.safetensors": FileHash(sha256="a" * 64, size=3)}
    mine, other = Pin(commit="1" * 40, files=files), Pin(commit="2" * 40)
    write_lock(ModelsLock(models={"org/mine": {"main": mine, "old": other}, "org/other": {"main": other}}), lock)
    begun(OLD, defaults={"model": "org/mine"}, lock=lock)
    lock.unlink()
    rerun = reopened()
    assert yaml.safe_load(rerun.lock.read_text("utf-8"))["models"] == {"org/mine": {"main": mine.model_dump()}}
    tamper(lambda record: first_entry(record)["config"]["pytorch"].update(revision="main"))
    assert "has another id here" in refused()
    rerun.lock.write_text("models: 3\n", "utf-8")
    assert "provenance/models.lock.yaml: models" in refused()


def test_a_package_in_another_version_is_named() -> None:
    begun(OLD)
    tamper(lambda record: first_entry(record)["config"].update(model="package:no-such-package/m.gguf"))
    assert "has another id here" in refused()


def test_new_results_are_never_mixed_with_others() -> None:
    before = begun(OLD)
    new = Path("results/quick-rerun")
    begun(new)
    assert "results/quick-rerun contains another study" in refused()
    assert reopened(study="free").plan.study == "free"
    keep_rerun_of(new, OLD, before)
    # The same rerun continues.
    assert reopened().plan.study == "quick-rerun"
    begun(OLD, measurement={"replicates": 3})
    message = refused()
    assert "contains a rerun of quick with another plan" in message
    assert "study=" in message
    (new / "provenance" / "rerun_of.json").write_text("[]", "utf-8")
    assert "not a record of a rerun" in refused()


def test_a_link_to_the_old_results_is_not_taken_for_another_folder() -> None:
    begun(OLD)
    Path("results/quick-rerun").symlink_to(OLD.absolute())
    assert "is what would be measured again" in refused()


ENVIRONMENT = {
    "fingerprint": "f" * 16,
    "cpu": "Old CPU",
    "git_commit": "a" * 40,
    "git_dirty": False,
    "python": "3.11.7",
    "packages": {},
    "system": "Linux",
    "hostname": "bench",
    "machine_id": "1" * 32,
    "models_lock_sha256": None,
    "placement": {"workers": 1, "devices": [], "drawn": [], "cores": [], "alone": True},
}


def measured_record(plan: Plan) -> dict[str, Any]:
    """Of the first session's first experiment, on the processor."""
    session = plan.sessions[0]
    head = {
        "schema_version": SCHEMA_VERSION,
        "experiment_id": session.experiments[0],
        "session_id": session.session_id,
        "setup_id": session.setup_id,
        "replicate": 1,
        "config": {},
        "environment": ENVIRONMENT,
        "weights": {},
    }
    failure = Failure.of("measure", "Error", "made up", Path("log"))
    return {**MeasurementRecord.failed(head, failure).to_plain(), "devices": {"kind": "cpu"}}


def test_the_record_of_a_rerun_says_what_was_different_then(tmp_path: Path) -> None:
    plan = begun(OLD)
    environments = OLD / "provenance" / "environments"
    environments.mkdir()
    packages = {"torch": "2.12.0", "zlib": "1"}
    kept = InstalledEnvironment(
        schema_version=SCHEMA_VERSION,
        fingerprint="f" * 16,
        python="3.11.7",
        machine="x86_64",
        lock=None,
        packages=packages,
    )
    (environments / f"{kept.fingerprint}.json").write_text(json.dumps(kept.to_plain()), "utf-8")
    lines = OLD / "sessions" / plan.sessions[0].session_id / "1" / "measurements.jsonl"
    lines.parent.mkdir(parents=True)
    lines.write_text(json.dumps(measured_record(plan)) + "\n", "utf-8")
    of = describe(OLD, plan)
    assert of.machines == ("Old CPU",)
    assert str(tmp_path) not in json.dumps(of.to_plain())
    of = of.model_copy(update={"git_commit": "a" * 40})
    assert changes(of, ENVIRONMENT, packages, []) == ""
    # A board that was there then too, and was not measured, is not another machine.
    assert changes(of, ENVIRONMENT, packages, ["A board"]) == ""
    # Another machine with the same processor.
    other = {**ENVIRONMENT, "machine_id": "2" * 32}
    assert changes(of, other, packages, []).endswith("measures on another machine of the same kind")
    assert changes(of, {**ENVIRONMENT, "machine_id": None}, packages, []) == ""
    now = {"fingerprint": "0" * 16, "cpu": "New CPU", "git_commit": "b" * 40, "machine_id": None}
    differences = changes(of, now, {"torch": "2.13.0", "zlib": "2"}, [])
    assert differences.startswith("unlike quick, this rerun measures ")
    assert "torch 2.12.0 → 2.13.0, zlib 1 → 2" in differences
    assert "New CPU instead of Old CPU" in differences
    assert "bbbbbbbbbbbb instead of aaaaaaaaaaaa" in differences
    of = of.model_copy(update={"machines": ("NVIDIA A100",)})
    assert "NVIDIA H100 instead of NVIDIA A100" in changes(of, ENVIRONMENT, {}, ["NVIDIA H100"])


def test_a_broken_record_is_one_line() -> None:
    plan = begun(OLD)
    assert read_rerun_of(OLD) is None
    lines = OLD / "sessions" / plan.sessions[0].session_id / "1" / "measurements.jsonl"
    lines.parent.mkdir(parents=True)
    lines.write_text('{"environment": ', "utf-8")
    with pytest.raises(RecordError, match=r"measurements\.jsonl is not whole .*; delete this file and call again$"):
        describe(OLD, plan)
    lines.unlink()
    environment = OLD / "provenance" / "environments" / "a.json"
    environment.parent.mkdir()
    for text in ("{}", '{"schema_version": 3}'):
        environment.write_text(text, "utf-8")
        with pytest.raises(RecordError, match=r"a\.json .*; delete this file and call again$") as error:
            describe(OLD, plan)
        assert "move" not in str(error.value)

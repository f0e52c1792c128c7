"""A model that cannot be had is a failure of its experiments: the others go on, and a later call tries again."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest
from harness import SIMULATED, TINY, Done, Pipeline, study
from models.made_models import copy, lfs_pointer, no_tokenizer, only_bin

from llenergymeasure.config import StudyError, study_from_mapping
from llenergymeasure.config.settings.model_ref import parse_model_ref
from llenergymeasure.config.study.lock import ModelsLock
from llenergymeasure.models.errors import SnapshotError
from llenergymeasure.models.snapshot import materialise, read_snapshot, verify_snapshot
from llenergymeasure.pipeline.model_stage import SHARED_CACHE, run_model
from llenergymeasure.pipeline.plan.inputs import InputDigests
from llenergymeasure.pipeline.plan.plan import plan_from_study
from llenergymeasure.pipeline.validation import validate_plan
from llenergymeasure.processes.inherited import STOP_ON_FAILURE


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = materialise(parse_model_ref(TINY), None, tmp_path_factory.mktemp("good") / "m", lock=ModelsLock()).path
    (folder / "snapshot.json").unlink()
    return folder


def make(folder: Path, destination: Path) -> Any:
    options = {"lock": ModelsLock(), "allow_code": False, "is_adapter": False, "log": destination.parent / "log"}
    destination.parent.mkdir(exist_ok=True)
    return run_model(parse_model_ref(str(folder)), None, destination, **options)


def test_a_refusal_takes_the_place_of_the_snapshot_until_it_can_be_made(
    good: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(SHARED_CACHE, raising=False)
    folder, place = only_bin(good, tmp_path / "bin"), tmp_path / "models" / "folder-bin@local"
    monkeypatch.setenv(STOP_ON_FAILURE, "1")
    with pytest.raises(SnapshotError, match="only pickled weights"):
        make(folder, place)
    assert not place.exists()
    monkeypatch.setenv(STOP_ON_FAILURE, "0")
    assert "only pickled weights" in str(make(folder, place).refused)
    assert read_snapshot(place).files == {}
    monkeypatch.setenv(SHARED_CACHE, "/shared")
    with pytest.raises(SnapshotError):  # other users may be able to have it
        make(folder, place)
    (folder / "pytorch_model.bin").rename(folder / "model.safetensors")
    assert make(folder, place).refused is None
    assert verify_snapshot(place).files


def test_a_place_that_cannot_be_written_is_never_a_refusal(
    good: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(STOP_ON_FAILURE, "0")
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.txt").write_text("years of work")
    with pytest.raises(SnapshotError, match="is not a snapshot, so it is not replaced"):
        make(only_bin(good, tmp_path / "bin"), mine)
    assert (mine / "thesis.txt").exists()


def test_the_plan_notices_a_change_of_a_folder_that_cannot_be_used(good: Path, tmp_path: Path) -> None:
    folder = no_tokenizer(only_bin(good, tmp_path / "a"), tmp_path / "mine")

    def digest() -> str:
        intent = study_from_mapping(study(defaults={"model": str(folder)})).expand()[0].model_dump(mode="json")
        return InputDigests(tmp_path / "none.json", tmp_path).of(intent)["model"]

    before = digest()
    assert digest() == before
    (folder / "note.txt").write_text("a")
    changed = digest()
    (folder / "note.txt").write_text("b")
    assert len({before, changed, digest()}) == 3


def test_validate_names_every_model_and_ends_only_where_the_study_stops(
    good: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    lfs_pointer(copy(good, tmp_path / "lfs") / "tokenizer.json")
    only_bin(good, tmp_path / "bin")
    matrix = {"model": [str(good), "./lfs", "./bin"], "pytorch.batch_size": [1, 2]}

    def problems(on_failure: str) -> list[Any]:
        plan = plan_from_study(study_from_mapping(study(matrix=matrix, on_failure=on_failure)), existing=None)
        return [found for found in validate_plan(plan).problems if found.rule == "model-unusable"]

    lfs, pickled = problems("record")
    assert (lfs.severity, lfs.path, lfs.experiments) == ("warning", "model", 2)
    assert "./lfs: tokenizer.json is a git-lfs pointer" in lfs.message
    assert "./bin has only pickled weights" in pickled.message
    with pytest.raises(StudyError) as caught:
        problems("stop")
    assert len(caught.value.problems) == 2


def rows(pipeline: Pipeline) -> dict[tuple[str, str], dict[str, str]]:
    with (pipeline.results() / "summary.csv").open(newline="") as lines:
        return {(row["model"], row["pytorch.batch_size"]): row for row in csv.DictReader(lines)}


def call(pipeline: Pipeline, *arguments: str) -> Done:
    done = pipeline.snakemake(*arguments, **SIMULATED)
    assert done.returncode == 0, done.output[-4000:]
    assert "Traceback (most recent call last)" not in done.output
    return done


@pytest.mark.slow
def test_one_unusable_model_never_stops_the_others(pipeline: Pipeline, good: Path) -> None:
    copy(good, pipeline.directory / "good")
    only_bin(good, pipeline.directory / "only_bin")
    fixable = no_tokenizer(good, pipeline.directory / "no_tokenizer")
    names = ["./only_bin", "./good", "./no_tokenizer"]
    # The reference is one of those that fail.
    pipeline.write(study(matrix={"model": names, "pytorch.batch_size": [1, 2]}))
    done = call(pipeline)
    assert done.output.count("[model-unusable]") == 2
    table = rows(pipeline)
    assert [table[name, size]["status"] for name in names for size in "12"] == [
        *["failed"] * 2,
        *["ok"] * 2,
        *["failed"] * 2,
    ]
    assert "model: SnapshotError: ./only_bin has only pickled weights" in table["./only_bin", "1"]["failure_reason"]
    assert "./no_tokenizer has no tokenizer" in table["./no_tokenizer", "2"]["failure_reason"]
    failed = next(record for record in pipeline.records() if record["config"]["model"] == "./only_bin")
    assert "has only pickled weights" in (pipeline.directory / failed["failure"]["log"]).read_text(encoding="utf-8")
    assert failed["weights"] == {}
    assert "Nothing to be done" in call(pipeline).output

    for path in good.glob("tokenizer*"):
        (fixable / path.name).write_bytes(path.read_bytes())
    again = call(pipeline)
    assert again.jobs["measure"] == 1
    assert rows(pipeline)["./no_tokenizer", "1"]["status"] == "ok"
    assert rows(pipeline)["./only_bin", "1"]["status"] == "failed"

    pipeline.write(study(matrix={"model": names}, on_failure="stop", study="strict"))
    strict = pipeline.snakemake(**SIMULATED)
    assert strict.returncode == 1
    assert "./only_bin has only pickled weights" in strict.output

"""ro-crate-metadata.json: loads again with the library, says what every file is, and nothing of this machine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from harness import ROOT
from results.study_folder import StudyFolder, study_folder
from rocrate.rocrate import ROCrate

from llenergymeasure.config import load_study
from llenergymeasure.pipeline.plan.plan_index import index_from_plan
from llenergymeasure.pipeline.provenance.environment import fingerprint, installed_packages
from llenergymeasure.pipeline.provenance.provenance import keep_environment, keep_provenance
from llenergymeasure.pipeline.provenance.rerun_record import keep_rerun_of
from llenergymeasure.records.metrics import METRICS, SUMMARY_METRICS
from llenergymeasure.records.study.provenance import Call
from llenergymeasure.results.crate.crate import NO_LICENSE, write_crate
from llenergymeasure.results.crate.file_catalogue import described_files
from llenergymeasure.results.reading.errors import ResultsError


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> StudyFolder:
    """A study's folder, described."""
    root = tmp_path_factory.mktemp("crate")
    written = root / "study.yaml"
    written.write_text("study: study\ndefaults: {model: 'random:llama?hidden_size=32&num_hidden_layers=2'}\n", "utf-8")
    made = study_folder(root / "study").write().aggregate()
    keep_provenance(
        made.root, load_study(written), index_from_plan(made.plan), written=[written], lock=root / "no-lock", root=ROOT
    )
    keep_environment(made.root, fingerprint())
    keep_rerun_of(made.root, made.root, made.plan)
    for name in ("report.html", "summary.txt", "validation.json"):
        (made.root / name).write_text("x", "utf-8")
    write_crate(made.root)
    return made


@pytest.fixture(scope="module")
def crate(folder: StudyFolder) -> ROCrate:
    return ROCrate(folder.root)


def test_every_file_that_is_there_is_described_in_the_words_of_the_page(folder: StudyFolder, crate: ROCrate) -> None:
    entities = {entity.id: entity for entity in crate.data_entities}
    present = {
        path.name + ("/" if path.is_dir() else "")
        for path in folder.root.iterdir()
        if path.name != "ro-crate-metadata.json"
    }
    assert present <= set(entities)
    assert {"provenance/study.yaml", "provenance/calls.jsonl", "provenance/environments/"} <= set(entities)
    words = described_files()
    assert entities["summary.csv"]["description"] == "one row per experiment: means and 95 % intervals"
    assert all(entity["description"] == words[name] for name, entity in entities.items())
    assert entities["runs.parquet"]["encodingFormat"] == "application/vnd.apache.parquet"
    assert entities["runs.parquet"]["contentSize"] == str((folder.root / "runs.parquet").stat().st_size)
    assert "power.parquet: the power trace at full rate" in entities["sessions/"]["description"]
    for name in entities:
        assert (folder.root / name).exists(), name
    assert "interim/" not in entities


def test_the_run_is_described_as_the_profile_asks(crate: ROCrate) -> None:
    root = crate.root_dataset
    assert [entity.id for entity in root["conformsTo"]] == ["https://w3id.org/ro/wfrun/process/0.6"]
    assert crate.metadata["conformsTo"] == "https://w3id.org/ro/crate/1.3"
    assert root["license"] == NO_LICENSE
    (action,) = root["mentions"]
    assert action.type == "CreateAction"
    assert action["startTime"] <= action["endTime"]
    (pipeline,) = action["instrument"]
    assert set(pipeline.type) == {"SoftwareSourceCode", "ComputationalWorkflow"}
    assert pipeline["programmingLanguage"]["name"] == "Snakemake"
    used = {entity["name"]: entity["softwareVersion"] for entity in pipeline["softwareRequirements"]}
    assert used.pop("Python").startswith("3.")
    assert used == installed_packages()
    asked = {entity.id for entity in action["object"]}
    assert {"provenance/study.yaml", "provenance/resolved.yaml", "provenance/models.lock.yaml"} <= asked
    assert sum(name.startswith("#model-random-llama") for name in asked) == 1
    assert {"plan.json", "summary.csv", "runs.parquet", "report.html", "costs.csv"} <= {
        entity.id for entity in action["result"]
    }
    (repeated,) = root["isBasedOn"]
    assert "study" in repeated["name"]


def test_every_figure_has_its_unit_and_definition(crate: ROCrate) -> None:
    described = {entity["propertyID"]: entity for entity in crate.root_dataset["variableMeasured"]}
    assert set(described) == set(SUMMARY_METRICS)
    for name, entity in described.items():
        assert (entity["unitText"], entity["description"]) == (METRICS[name].unit, METRICS[name].definition)


def test_nothing_of_this_machine_is_in_it(folder: StudyFolder) -> None:
    text = (folder.root / "ro-crate-metadata.json").read_text("utf-8")
    for path in (folder.root, ROOT, Path.home(), Path.cwd()):
        assert str(path) not in text

    def texts(value: Any) -> list[str]:
        if isinstance(value, dict):
            return [text for inner in value.values() for text in texts(inner)]
        if isinstance(value, list):
            return [text for inner in value for text in texts(inner)]
        return [value]

    assert not [text for text in texts(json.loads(text)) if text.startswith(("/", "~", "file:"))]


def test_a_local_model_is_named_without_its_path(tmp_path: Path) -> None:
    made = study_folder(tmp_path / "study", defaults={"model": "/srv/secret/my-model", "precision": "fp32"}).write()
    calls = made.root / "provenance" / "calls.jsonl"
    calls.parent.mkdir()
    for text, fault in ((None, "cannot be read"), ("", "is empty"), ("{", "is not whole"), ("{}", "lacks started")):
        if text is not None:
            calls.write_text(text, "utf-8")
        with pytest.raises(ResultsError, match=rf"calls\.jsonl(:1)? {fault}.*; delete it and run again"):
            write_crate(made.root)
    call = Call(
        started="2026-01-01T00:00:00+00:00",
        plan_digest="d",
        git_commit=None,
        git_dirty=None,
        snakemake="9",
        python="3",
    )
    calls.write_text(f"{json.dumps(call.to_plain())}\n", "utf-8")
    write_crate(made.root)
    text = (made.root / "ro-crate-metadata.json").read_text("utf-8")
    assert "/srv" not in text
    assert "folder-my-model-" in text

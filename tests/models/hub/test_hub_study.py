"""A hub model from an unpinned name to a result, through Snakemake, on a hub of our own."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import pytest
import yaml
from harness import SIMULATED, Done, Pipeline, study
from models.hub.hub_server import HubServer, Repository


def test_a_hub_model_is_pinned_fetched_once_checked_and_measured(
    pipeline: Pipeline, hub: HubServer, commit: str
) -> None:
    pipeline.write(study(defaults={"model": "org/tiny"}))
    refused = pipeline.snakemake()
    assert refused.returncode == 1
    assert "snakemake pin" in refused.output
    assert hub.requests == []

    pinned = pipeline.snakemake("pin")
    assert pinned.returncode == 0, pinned.output
    lock = pipeline.directory / "config" / "models.lock.yaml"
    assert commit in lock.read_text(encoding="utf-8")

    done = pipeline.snakemake()
    assert done.returncode == 0, done.output
    (record,) = pipeline.records()
    assert record["status"] == "ok"
    assert (record["snapshot"]["source"], record["snapshot"]["revision"]) == ("hub", commit)
    assert record["evidence"]["pytorch.revision"]["verdict"] == "applied"

    asked = len(hub.requests)
    again = pipeline.snakemake()
    assert "Nothing to be done" in again.output
    assert len(hub.requests) == asked


@pytest.mark.usefixtures("commit")
def test_a_file_that_is_not_the_pinned_one_stops_before_anything_is_loaded(pipeline: Pipeline) -> None:
    pipeline.write(study(defaults={"model": "org/tiny"}, on_failure="stop"))
    assert pipeline.snakemake("pin").returncode == 0
    path = pipeline.directory / "config" / "models.lock.yaml"
    lock = yaml.safe_load(path.read_text(encoding="utf-8"))
    text = path.read_text(encoding="utf-8")
    (sha256,) = {
        file["sha256"]
        for model in lock["models"].values()
        for revision in model.values()
        for name, file in revision["files"].items()
        if name == "model.safetensors"
    }
    path.write_text(text.replace(sha256, "f" * 64), encoding="utf-8")
    done = pipeline.snakemake()
    assert done.returncode == 1
    assert "model.safetensors is not the file the lock describes" in done.output
    assert "Traceback (most recent call last)" not in done.output
    assert not (pipeline.results() / "setups").exists()
    assert not any(path.suffix == ".safetensors" for path in (pipeline.directory / "results/models").rglob("*"))


@pytest.mark.slow
def test_a_rerun_elsewhere_fetches_the_model_by_the_pins_in_the_results(
    pipeline: Pipeline, hub: HubServer, commit: str, tmp_path: Path, cache: Path
) -> None:
    pipeline.write(study(defaults={"model": "org/tiny"}, on_failure="stop"))
    assert pipeline.snakemake("pin").returncode == 0
    assert pipeline.snakemake("validate").returncode == 0
    elsewhere = Pipeline(tmp_path / "elsewhere")
    shutil.copytree(pipeline.results(), elsewhere.results())
    snapshot = f"results/models/org--tiny@{commit}"
    again = ("--config", "from=results/quick")

    shutil.rmtree(cache)
    asked = len(hub.requests)
    done = elsewhere.snakemake(snapshot, *again, configfile=None)
    assert done.returncode == 0, done.output
    assert len(hub.requests) > asked
    record = json.loads((elsewhere.directory / snapshot / "snapshot.json").read_text(encoding="utf-8"))
    assert record["notes"]["hashes_checked_against"] == "lock"
    assert not (elsewhere.directory / "config").exists()

    shutil.rmtree(elsewhere.directory / "results" / "models")
    shutil.rmtree(elsewhere.results("quick-rerun"))
    lock = elsewhere.results() / "provenance" / "models.lock.yaml"
    lock.write_text(lock.read_text(encoding="utf-8").replace(record["files"]["model.safetensors"]["sha256"], "f" * 64))
    done = elsewhere.snakemake(snapshot, *again, configfile=None)
    assert done.returncode == 1
    assert "model.safetensors is not the file the lock describes" in done.output


def measured(pipeline: Pipeline) -> Done:
    done = pipeline.snakemake(**SIMULATED)
    assert done.returncode == 0, done.output[-4000:]
    return done


def statuses(pipeline: Pipeline) -> dict[str, dict[str, str]]:
    """The rows of the summary by model."""
    with (pipeline.results() / "summary.csv").open(newline="") as lines:
        return {row["model"]: row for row in csv.DictReader(lines)}


@pytest.mark.slow
def test_a_gated_model_is_recorded_and_measured_once_it_can_be_had(
    pipeline: Pipeline,
    hub: HubServer,
    tiny_files: dict[str, bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hub.repositories["org/open"], hub.repositories["org/gated"] = Repository(), Repository(gated=True)
    for repository in hub.repositories.values():
        repository.commit("main", tiny_files)
    # The simulated worker needs a size of batches.
    batches = {"pytorch": {"batch_size": 1}}
    pipeline.write(study(defaults=batches, matrix={"model": ["org/open", "org/gated"]}))
    assert pipeline.snakemake("pin").returncode == 0
    home = Path(pipeline.directory / "empty-cache")
    monkeypatch.setenv("HF_HOME", str(home))
    monkeypatch.delenv("HF_TOKEN")
    measured(pipeline)
    assert statuses(pipeline)["org/open"]["status"] == "ok", statuses(pipeline)
    reason = statuses(pipeline)["org/gated"]["failure_reason"]
    assert "org/gated is gated: accept its terms" in reason and "set HF_TOKEN or run `hf auth login`" in reason

    # Each call tries again. What was measured stays.
    assert measured(pipeline).jobs["model"] == 1
    secret = "hf_abcdefghijklmnopqrstuvwxyz"
    monkeypatch.setenv("HF_TOKEN", secret)
    granted = measured(pipeline)
    assert (granted.jobs["model"], granted.jobs["measure"]) == (1, 1)
    assert statuses(pipeline)["org/gated"]["status"] == "ok"
    assert "Nothing to be done" in measured(pipeline).output
    for path in pipeline.directory.rglob("*"):
        assert not path.is_file() or secret.encode() not in path.read_bytes(), path

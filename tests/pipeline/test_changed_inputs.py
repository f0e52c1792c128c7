"""Data files, model folders and adapters that change under the same name. Real Snakemake, a simulated worker."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from harness import SIMULATED, TINY, Done, Pipeline, study
from safetensors.numpy import save_file

from llenergymeasure.config.settings.model_ref import parse_model_ref
from llenergymeasure.config.study.lock import ModelsLock
from llenergymeasure.models.snapshot import materialise

REPLICATES = 2


def write_texts(path: Path, *texts: str) -> None:
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts), encoding="utf-8")


def flip_last_byte(path: Path) -> None:
    """Other weights, in a file of its own: the snapshot holds a link to the old one."""
    content = path.read_bytes()
    path.unlink()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))


@pytest.fixture(scope="module")
def changing(tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    """A study of four setups, measured: of two data files, a folder and an adapter."""
    pipeline = Pipeline(tmp_path_factory.mktemp("changing"))
    folder = pipeline.directory
    for name, text in (("one", "First."), ("two", "Second.")):
        write_texts(folder / f"{name}.jsonl", text, "Another text.")
    materialise(parse_model_ref(TINY), None, folder / "model", lock=ModelsLock())
    (folder / "lora").mkdir()
    (folder / "lora/adapter_config.json").write_text("{}", encoding="utf-8")
    save_file({"weight": np.ones(2)}, folder / "lora/adapter_model.safetensors")
    pipeline.write(STUDY)
    done = call(pipeline)
    assert done.jobs["measure"] == REPLICATES * 3
    assert measured_with(pipeline).keys() == {"one", "two", "folder", "adapter"}
    return pipeline


STUDY: dict[str, Any] = study(
    defaults={
        "n_prompts": 2,
        "pytorch": {"batch_size": 1},
        "dataset": {"source": "file", "path": "one.jsonl", "column": "text"},
    },
    experiments=[
        {"decoder": {"preset": "deterministic"}},
        {"dataset": {"path": "two.jsonl"}},
        {"dataset": {"source": "builtin", "path": None, "column": None}, "model": "./model"},
        {"dataset": {"source": "builtin", "path": None, "column": None}, "pytorch": {"adapter": "./lora"}},
    ],
    measurement={"replicates": REPLICATES},
)


def call(pipeline: Pipeline, *arguments: str) -> Done:
    done = pipeline.snakemake(*arguments, **SIMULATED)
    assert done.returncode == 0, done.output[-4000:]
    return done


def kind_of(config: dict[str, Any]) -> str:
    if config["pytorch"]["adapter"]:
        return "adapter"
    return "folder" if config["model"] == "./model" else str(config["dataset"]["path"]).removesuffix(".jsonl")


def measured_with(pipeline: Pipeline) -> dict[str, tuple[str, set[str], set[str], set[int]]]:
    """Of each experiment in the tables: its session, digests of prompts and of all weights, and worker processes."""
    experiments = pipeline.plan()["experiments"]
    provenance: dict[str, tuple[str, set[str], set[str], set[int]]] = {}
    for record in pipeline.records():
        entry = experiments[record["experiment_id"]]
        if record["session_id"] == entry["session_id"]:
            _, prompts, weights, pids = provenance.setdefault(
                kind_of(record["config"]), (record["session_id"], set(), set(), set())
            )
            prompts.add(record["prompts"]["digest"])
            weights.add(json.dumps(record["weights"]))
            pids.add(record["worker_pid"])
    return provenance


@contextmanager
def only_changes(pipeline: Pipeline, kind: str) -> Iterator[None]:
    """Within, the experiment of that kind is measured again in every replicate, and the others are as they were."""
    before = measured_with(pipeline)
    yield
    after = measured_with(pipeline)
    assert {name: after[name] for name in after if name != kind} == {n: before[n] for n in before if n != kind}
    assert after[kind][0] != before[kind][0]
    assert not after[kind][3] & before[kind][3]
    _, prompts, weights, pids = after[kind]
    assert (len(prompts), len(weights), len(pids)) == (1, 1, REPLICATES)
    # What was measured before is kept, and in no table.
    assert (pipeline.results() / "sessions" / before[kind][0] / "1/measurements.jsonl").exists()
    summary = pd.read_parquet(pipeline.results() / "summary.parquet")
    assert set(summary["replicates"]) == {REPLICATES}
    assert "Nothing to be done" in call(pipeline, "-n").output


@pytest.mark.slow
def test_a_changed_data_file_is_reported_and_measured_again(changing: Pipeline) -> None:
    before = measured_with(changing)["two"]
    with only_changes(changing, "two"):
        write_texts(changing.directory / "two.jsonl", "Others.", "Another text.")
        done = call(changing)
        assert done.jobs["measure"] == REPLICATES
        assert not {"load", "model"} & set(done.jobs)
        line = (
            "two.jsonl has changed since it was measured: 1 experiment is measured again, in every replicate; the "
            f"results with its old content stay in sessions/{before[0]} and are in no table"
        )
        assert line in done.output.splitlines()
    assert measured_with(changing)["two"][1] != before[1]


@pytest.mark.slow
def test_a_changed_model_folder_is_reported_and_measured_again(changing: Pipeline) -> None:
    old = measured_with(changing)["folder"]
    with only_changes(changing, "folder"):
        flip_last_byte(changing.directory / "model/model.safetensors")
        done = call(changing)
        assert (done.jobs["measure"], done.jobs["load"], done.jobs["local_model"]) == (REPLICATES, 1, 1)
        assert "./model has changed since it was measured: 1 experiment is measured again" in done.output
    assert measured_with(changing)["folder"][2] != old[2]


@pytest.mark.slow
def test_a_changed_adapter_is_reported_and_measured_again(changing: Pipeline) -> None:
    old = measured_with(changing)["adapter"]
    with only_changes(changing, "adapter"):
        flip_last_byte(changing.directory / "lora/adapter_model.safetensors")
        done = call(changing)
        assert (done.jobs["measure"], done.jobs["load"]) == (REPLICATES, 1)
        assert "./lora has changed since it was measured: 1 experiment is measured again" in done.output
    assert measured_with(changing)["adapter"][2] != old[2]


@pytest.mark.slow
def test_a_touched_file_is_not_another_file(changing: Pipeline) -> None:
    write_texts(changing.directory / "one.jsonl", "First.", "Another text.")
    (changing.directory / "model/model.safetensors").touch()
    done = call(changing, "-n")
    assert "Nothing to be done" in done.output
    assert "has changed" not in done.output

"""A study of a hub data set from a split's name to a result, through Snakemake, on a hub of our own."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from harness import Pipeline, study
from models.hub.hub_server import HubServer, Repository

pytestmark = pytest.mark.slow

TEMPLATE = (
    "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}<assistant>"
    "{% if enable_thinking is defined and not enable_thinking %}<think></think>{% endif %}"
)
QUESTIONS = ["Why is the sky blue?", "Name three rivers.", "Explain 2+2.", "Hm"]
ROWS = "".join(json.dumps({"turns": [{"role": "user", "content": text}]}) + "\n" for text in QUESTIONS).encode()
DATASET: dict[str, Any] = {
    "source": "hub",
    "name": "org/set",
    "split": "train",
    "messages": "turns",
    "system_prompt": "Be brief.",
    "chat_template_kwargs": {"enable_thinking": False},
    "sample_seed": 1,
    "min_tokens": 3,
}


@pytest.fixture
def asking(pipeline: Pipeline, hub: HubServer, tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Pipeline:
    """A folder with a model that has a chat template, a study that asks the hub for its prompts, and the hub."""
    monkeypatch.setenv("HF_HUB_DISABLE_XET", "1")
    hub.repositories["datasets/org/set"] = Repository()
    hub.repositories["datasets/org/set"].commit("main", {"data/train.jsonl": ROWS, "data/test.jsonl": b"x"})
    shutil.copytree(tiny_folder, pipeline.directory / "model")
    (pipeline.directory / "model" / "chat_template.jinja").write_text(TEMPLATE, encoding="utf-8")
    pipeline.write(study(defaults={"model": "./model", "n_prompts": 2, "max_input_tokens": 90, "dataset": DATASET}))
    return pipeline


def test_a_split_is_pinned_fetched_once_checked_and_measured(asking: Pipeline, hub: HubServer) -> None:
    commit = hub.repositories["datasets/org/set"].branches["main"]
    refused = asking.snakemake()
    assert refused.returncode == 1
    assert "dataset.name: split 'train' of org/set at 'main' is not pinned" in refused.output
    assert hub.requests == []

    pinned = asking.snakemake("pin")
    assert pinned.returncode == 0, pinned.output
    assert f"data set org/set, split train: main pinned to {commit} (1 files, {len(ROWS)} bytes)" in pinned.output

    done = asking.snakemake()
    assert done.returncode == 0, done.output
    (record,) = asking.records()
    assert record["status"] == "ok"
    prompts = record["prompts"]
    assert (prompts["revision"], prompts["path"], prompts["messages"]) == (commit, "data/train.jsonl", "turns")
    assert (prompts["system_prompt"], prompts["chat_template_kwargs"]) == ("Be brief.", {"enable_thinking": False})
    assert (prompts["sample_seed"], prompts["min_tokens"], prompts["n"]) == (1, 3, 2)
    evidence = record["evidence"]
    assert evidence["dataset.system_prompt"]["verdict"] == "applied"
    assert evidence["dataset.system_prompt"]["observed"].startswith("the text is in 2 of 2 prompts")
    assert evidence["dataset.chat_template_kwargs"]["verdict"] == "applied"
    assert evidence["dataset.chat_template_kwargs"]["observed"] == "enable_thinking changes 2 prompts"

    kept = yaml.safe_load((asking.results() / "provenance" / "models.lock.yaml").read_text(encoding="utf-8"))
    assert kept["datasets"]["org/set"][0]["commit"] == commit
    asked = len(hub.requests)
    assert "Nothing to be done" in asking.snakemake().output
    assert len(hub.requests) == asked


def test_a_file_that_is_not_the_pinned_one_stops_before_anything_is_loaded(asking: Pipeline) -> None:
    assert asking.snakemake("pin").returncode == 0
    path = asking.directory / "config" / "models.lock.yaml"
    lock = yaml.safe_load(path.read_text(encoding="utf-8"))
    lock["datasets"]["org/set"][0]["files"]["data/train.jsonl"]["sha256"] = "f" * 64
    path.write_text(yaml.safe_dump(lock), encoding="utf-8")
    done = asking.snakemake()
    assert done.returncode == 1
    assert "data/train.jsonl of data set org/set@" in done.output
    assert "is not the file that the lock describes" in done.output
    assert "Traceback (most recent call last)" not in done.output
    assert not (asking.results() / "setups").exists()


def test_a_misspelt_keyword_and_too_few_rows_end_the_study_before_anything_is_loaded(asking: Pipeline) -> None:
    assert asking.snakemake("pin").returncode == 0
    for change, what in (
        (
            {"chat_template_kwargs": {"enable_thinkin": False}},
            "dataset.chat_template_kwargs.enable_thinkin: the model's chat template does not read it; did you mean "
            "enable_thinking?",
        ),
        (
            {"min_tokens": 20},
            "n_prompts: 2 prompts asked for, but of the 4 rows of org/set only 1 have 20 or more tokens",
        ),
    ):
        dataset = {**DATASET, **change}
        asking.write(study(defaults={"model": "./model", "n_prompts": 2, "max_input_tokens": 90, "dataset": dataset}))
        done = asking.snakemake()
        assert done.returncode == 1
        assert what in done.output
        assert "Traceback (most recent call last)" not in done.output
        assert not (asking.results() / "setups").exists()

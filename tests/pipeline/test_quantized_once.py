"""Quantized weights are artifacts: one job quantizes, every other process reads, and the outputs are the same."""

from __future__ import annotations

import json
from typing import Any

import pytest
from harness import Pipeline, study

# Large enough that to quantize it takes longer than to read it.
MODEL = (
    "random:llama?hidden_size=512&intermediate_size=2048&num_hidden_layers=4"
    "&num_attention_heads=8&num_key_value_heads=4&vocab_size=300"
)
DEFAULTS = {"model": MODEL, "pytorch": {"load_in_4bit": True, "bnb_4bit_quant_type": "nf4"}}


def setups(pipeline: Pipeline) -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in (pipeline.results() / "setups").glob("*/load.json")]


@pytest.mark.slow
def test_a_model_is_quantized_once_for_all_setups_and_studies(pipeline: Pipeline) -> None:
    axes = {"pytorch.attn_implementation": ["sdpa", "eager"]}
    pipeline.write(study(defaults=DEFAULTS, matrix=axes))
    done = pipeline.snakemake()
    assert done.returncode == 0, done.output
    assert done.jobs["quantize"] == 1
    assert done.jobs["load"] == 2
    (artifact,) = (pipeline.directory / "results" / "models").glob("*.quantized-*")
    for load in setups(pipeline):
        kept = load["quantized_weights"]
        assert kept["read_from"] == artifact.name
        assert kept["reason"] is None
        assert kept["cost"]["quantizing"]["load_s"] > kept["cost"]["reading"]["load_s"]
        assert {entry["phase"] for entry in kept["cost"]["quantizing"]["energy"]} == {"load"}
        evidence = load["evidence"]["pytorch.load_in_4bit"]
        assert evidence["verdict"] == "applied"
        assert f"read from {artifact.name}" in evidence["observed"]
    read = {record["experiment_id"]: record for record in pipeline.records()}
    assert {record["quantized_weights"]["read_from"] for record in read.values()} == {artifact.name}

    # Nothing to do; and another study reads the same weights.
    assert "Nothing to be done" in pipeline.snakemake().output
    pipeline.write(study(study="other", defaults={**DEFAULTS, "n_prompts": 2}), "other.yaml")
    planned = pipeline.snakemake("-n", configfile="other.yaml")
    assert planned.jobs["load"] == 1
    assert "quantize" not in planned.jobs

    # Weights that other libraries quantized are not read: the same outputs, and the reason in the record.
    record = artifact / "snapshot.json"
    content = json.loads(record.read_text())
    content["notes"]["made_with"]["bitsandbytes"] = "0.0.1"
    record.write_text(json.dumps(content))
    for path in (pipeline.results() / "sessions").glob("*/1/*"):
        path.unlink()
    done = pipeline.snakemake()
    assert done.returncode == 0, done.output
    assert "quantize" not in done.jobs
    for again in pipeline.records():
        kept = again["quantized_weights"]
        assert kept["read_from"] is None
        assert "bitsandbytes 0.0.1, here" in kept["reason"]
        assert again["output_digest"] == read[again["experiment_id"]]["output_digest"]
        assert again["evidence"]["pytorch.load_in_4bit"]["verdict"] == "applied"

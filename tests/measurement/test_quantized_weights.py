"""Weights that were quantized once and read again: the same model, and said where each process quantizes for itself."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from harness import TINY
from measurement.experiments import config

from llenergymeasure.config import ExperimentConfig
from llenergymeasure.config.settings.model_ref import parse_model_ref
from llenergymeasure.config.settings.quantization_key import quantized_key, why_not_kept
from llenergymeasure.config.study.lock import ModelsLock
from llenergymeasure.engine.failure import ExperimentFailure
from llenergymeasure.engine.loading.load import Source, Sources, load_model
from llenergymeasure.engine.loading.quantized import digest_layers, made_with, require_same, write_quantized
from llenergymeasure.measurement.weights_source import choose_weights
from llenergymeasure.models.quantized import empty_folder, publish_quantized, publish_refusal
from llenergymeasure.models.snapshot import Snapshot, SnapshotError, materialise, read_snapshot, verify_snapshot

# bitsandbytes quantizes in blocks of 64 values.
MODEL = TINY.replace("hidden_size=32", "hidden_size=64").replace("intermediate_size=64", "intermediate_size=128")
NF4 = {"load_in_4bit": True, "bnb_4bit_quant_type": "nf4"}
CASES: dict[str, dict[str, Any]] = {
    "fp4": {"pytorch": {"load_in_4bit": True}},
    "nf4": {"pytorch": NF4},
    "nf4-double-bfloat16": {
        "precision": "bf16",
        "pytorch": {**NF4, "bnb_4bit_use_double_quant": True, "bnb_4bit_compute_dtype": "bfloat16"},
    },
    "8bit": {"pytorch": {"load_in_8bit": True}},
    "8bit-threshold": {
        "pytorch": {"load_in_8bit": True},
        "passthrough_kwargs": {"bitsandbytes": {"llm_int8_threshold": 3.0}},
    },
}


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "blocks"
    return materialise(parse_model_ref(MODEL), None, folder, lock=ModelsLock()).path


def kept(base: Snapshot, intent: ExperimentConfig, destination: Path) -> tuple[Snapshot, Any]:
    """The artifact of this intent, and the model it was written from."""
    loaded = load_model(intent, Sources(model=Source(base.path)))
    work = empty_folder(destination)
    generation = loaded.model.generation_config
    write_quantized(loaded.model, base.path, base.files, work)
    loaded.model.generation_config = generation
    return publish_quantized(base, work, destination, {"made_with": made_with(), "cost": None}), loaded


@pytest.mark.parametrize("case", CASES)
def test_weights_that_are_read_compute_what_quantized_ones_do(case: str, snapshot: Path, tmp_path: Path) -> None:
    intent, base = ExperimentConfig.model_validate(config(**CASES[case])), read_snapshot(snapshot)
    artifact, quantized = kept(base, intent, tmp_path / "kept")
    chosen = choose_weights(intent, base, str(artifact.path))
    assert chosen.reason is None
    read = load_model(intent, Sources(model=replace(Source(base.path), quantized=chosen.folder)))
    require_same(digest_layers(quantized.model), digest_layers(read.model))
    assert read.resident_bytes == quantized.resident_bytes
    prompt = {"input_ids": torch.arange(40).reshape(2, 20), "max_new_tokens": 12, "do_sample": False}
    left, right = (item.model.generate(**prompt) for item in (quantized, read))
    assert torch.equal(left, right)
    left, right = (item.model(prompt["input_ids"]).logits for item in (quantized, read))
    assert torch.equal(left, right)
    assert {path.suffix for path in artifact.path.iterdir()} == {".json", ".safetensors"}


def test_what_is_not_the_same_is_not_used(snapshot: Path, tmp_path: Path) -> None:
    intent = ExperimentConfig.model_validate(config(pytorch=NF4))
    base = read_snapshot(snapshot)
    artifact, loaded = kept(base, intent, tmp_path / "kept")
    other = load_model(ExperimentConfig.model_validate(config(**CASES["fp4"])), Sources(model=Source(base.path)))
    with pytest.raises(ExperimentFailure, match="differently than it wrote it"):
        require_same(digest_layers(loaded.model), digest_layers(other.model))
    changed = artifact.path / "model.safetensors"
    changed.write_bytes(changed.read_bytes()[:-1] + b"x")
    with pytest.raises(SnapshotError, match="has changed"):
        verify_snapshot(artifact.path)


def test_an_artifact_of_other_libraries_weights_or_devices_is_not_used(snapshot: Path, tmp_path: Path) -> None:
    intent = ExperimentConfig.model_validate(config(pytorch=NF4))
    base, here = read_snapshot(snapshot), made_with()

    def reason(notes: dict[str, Any], of: Snapshot = base) -> str | None:
        artifact = publish_quantized(of, empty_folder(tmp_path / "kept"), tmp_path / "kept", {"cost": None, **notes})
        chosen = choose_weights(intent, base, str(artifact.path))
        assert (chosen.artifact is None) == (chosen.reason is not None)
        assert chosen.to_dict()["reason"] == chosen.reason
        return chosen.reason

    assert reason({"made_with": here}) is None
    assert "bitsandbytes 0.1, here" in str(reason({"made_with": {**here, "bitsandbytes": "0.1"}}))
    assert "device NVIDIA H100, here cpu" in str(reason({"made_with": {**here, "device": "NVIDIA H100"}}))
    assert "other weights" in str(reason({"made_with": here}, replace(base, files={})))
    publish_refusal(base, tmp_path / "refused", "the library says no")
    assert choose_weights(intent, base, str(tmp_path / "refused")).reason == "the library says no"
    plain = ExperimentConfig.model_validate(config())
    assert choose_weights(plain, base, None).to_dict() is None


def test_setups_that_quantize_alike_share_their_weights() -> None:
    first = quantized_key(config(pytorch={**NF4, "attn_implementation": "eager"}))
    assert first is not None
    assert (
        quantized_key(config(n_prompts=9, pytorch={**NF4, "attn_implementation": "sdpa", "torch_compile": True}))
        == first
    )
    others = [
        config(pytorch={**NF4, "bnb_4bit_use_double_quant": True}),
        config(pytorch=NF4, precision="bf16"),
        config(pytorch={**NF4, "device_map": "cpu"}),
        config(pytorch=NF4, passthrough_kwargs={"bitsandbytes": {"llm_int8_skip_modules": ["lm_head"]}}),
        config(pytorch={"load_in_8bit": True}),
    ]
    assert len({first, *map(quantized_key, others)}) == 6
    assert quantized_key(config()) is None


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"pytorch": {**NF4, "tp_size": 2, "tp_plan": "auto"}}, "tp_size"),
        (
            {
                "pytorch": {"load_in_8bit": True},
                "passthrough_kwargs": {"bitsandbytes": {"llm_int8_enable_fp32_cpu_offload": True}},
            },
            "llm_int8_enable_fp32_cpu_offload",
        ),
    ],
)
def test_where_weights_cannot_be_kept_the_record_says_why(changes: dict[str, Any], says: str, snapshot: Path) -> None:
    intent = config(**changes)
    assert quantized_key(intent) is None
    model = ExperimentConfig.model_validate(intent)
    choice = choose_weights(model, read_snapshot(snapshot), None).to_dict()
    assert choice is not None and choice["read_from"] is None
    assert choice["reason"] == why_not_kept(model)
    assert says in choice["reason"]

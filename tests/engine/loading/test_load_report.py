"""Weights that a checkpoint lacks are drawn at random by the library, which only logs it: here they are a failure."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from edited_models import model_folder, rewrite, without
from engine.cases import TINY_DRAFT
from engine.conftest import Runner
from harness import TINY

from llenergymeasure.engine.evidence import checkpoint_warnings
from llenergymeasure.engine.failure import ExperimentFailure

SMALL = "hidden_size=32&intermediate_size=64&num_hidden_layers=2&num_attention_heads=2&vocab_size=300"
ARCHITECTURES = {
    "llama": TINY,
    "llama-tied": f"{TINY}&tie_word_embeddings=true",
    "gpt2": "random:gpt2?n_embd=32&n_layer=1&n_head=2&vocab_size=300",
    "gemma2": f"random:gemma2?{SMALL}&num_key_value_heads=1&head_dim=16",
    "mamba": "random:mamba?hidden_size=32&num_hidden_layers=1&vocab_size=300",
    "opt": "random:opt?hidden_size=32&num_hidden_layers=1&num_attention_heads=2&ffn_dim=64&vocab_size=300"
    "&word_embed_proj_dim=32",
    "bloom": "random:bloom?hidden_size=32&n_layer=1&n_head=2&vocab_size=300",
    "gpt_neox": f"random:gpt_neox?{SMALL}",
    "mixtral": f"random:mixtral?{SMALL}&num_key_value_heads=1&num_local_experts=4",
    "qwen2-tied": f"random:qwen2?{SMALL}&num_key_value_heads=1&tie_word_embeddings=true",
}


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_complete_weights_load_without_a_word_on_them(run: Runner, architecture: str) -> None:
    """Also where weights are tied, or an architecture computes some."""
    loaded = run(model=ARCHITECTURES[architecture], max_output_tokens=2).loaded
    assert not [item for item in loaded.warnings if item["code"] != "library-warning"]


def test_missing_parameters_are_a_failure_that_counts_and_names_them(run: Runner, tmp_path: Path) -> None:
    folder = model_folder(tmp_path / "half")
    rewrite(folder / "model.safetensors", without(r"layers\.1\."))
    with pytest.raises(ExperimentFailure) as caught:
        run(model=str(folder))
    assert (caught.value.stage, caught.value.error_class) == ("load", "MissingWeights")
    assert caught.value.reason.startswith("9 parameters of the model are not in the model's files")
    assert "model.layers.1.input_layernorm.weight" in caught.value.reason
    assert "and 6 more" in caught.value.reason
    assert "\n" not in caught.value.reason


def test_parameters_of_another_shape_are_a_failure_with_both_shapes(run: Runner, tmp_path: Path) -> None:
    folder = model_folder(tmp_path / "wide", config={"intermediate_size": 120})
    with pytest.raises(ExperimentFailure, match="MismatchedWeights") as caught:
        run(model=str(folder))
    assert caught.value.reason.startswith("6 parameters of the model are of another shape in the model's files")
    assert "down_proj.weight is (64, 128) there, (64, 120) in the model" in caught.value.reason


def test_quantized_weights_that_nobody_calls_so_are_a_failure(run: Runner, tmp_path: Path) -> None:
    """The library would take the integers for the weights, without their scales."""
    folder = model_folder(tmp_path / "integers")

    def quantized(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        integers = {name: (tensor * 127).to(torch.int8) for name, tensor in tensors.items() if "mlp" in name}
        return {**tensors, **integers}

    rewrite(folder / "model.safetensors", quantized)
    with pytest.raises(ExperimentFailure, match="UnscaledWeights") as caught:
        run(model=str(folder))
    assert caught.value.reason.startswith("6 parameters of the model are stored as integers: ")
    assert "down_proj.weight (I8)" in caught.value.reason


def test_tensors_that_the_model_does_not_use_are_a_warning(run: Runner, tmp_path: Path) -> None:
    folder = model_folder(tmp_path / "more")
    rewrite(folder / "model.safetensors", lambda tensors: {**tensors, "value_head.weight": torch.ones(3)})
    (warning,) = run(model=str(folder)).loaded.warnings
    assert warning == {
        "code": "weights-unexpected",
        "message": "the model's files hold 1 tensor that the model does not use: value_head.weight",
    }


def test_an_adapter_of_another_rank_than_its_settings_is_a_failure(run: Runner, tmp_path: Path) -> None:
    lora = Path(shutil.copytree(run.config_of(pytorch={"adapter": "ADAPTER"}).pytorch.adapter or "", tmp_path / "lora"))
    settings = lora / "adapter_config.json"
    settings.write_text(json.dumps({**json.loads(settings.read_text(encoding="utf-8")), "r": 8}), encoding="utf-8")
    with pytest.raises(ExperimentFailure, match="MismatchedWeights") as caught:
        run(pytorch={"adapter": str(lora)})
    assert "8 parameters of the adapter are of another shape in the adapter's files: " in caught.value.reason
    assert "lora_A.default.weight is (4, 64) there, (8, 64) in the model" in caught.value.reason


def test_half_an_adapter_is_a_failure(run: Runner, tmp_path: Path) -> None:
    whole = Path(run.config_of(pytorch={"adapter": "ADAPTER"}).pytorch.adapter or "")
    half = tmp_path / "lora"
    half.mkdir()
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        (half / name).write_bytes((whole / name).read_bytes())
    rewrite(half / "adapter_model.safetensors", without(r"layers\.1\."))
    with pytest.raises(ExperimentFailure, match="MissingWeights") as caught:
        run(pytorch={"adapter": str(half)})
    assert caught.value.reason.startswith("4 parameters of the adapter are not in the adapter's files")


def test_half_a_draft_model_is_a_failure(run: Runner, tmp_path: Path) -> None:
    folder = model_folder(tmp_path / "draft", TINY_DRAFT)
    rewrite(folder / "model.safetensors", without("lm_head"))
    with pytest.raises(ExperimentFailure, match="1 parameter of the draft model is not in the draft model's files"):
        run(pytorch={"assistant_model": str(folder)})


@pytest.mark.parametrize("missing", [False, True])
def test_quantized_weights_that_are_read_back_are_checked_too(run: Runner, tmp_path: Path, missing: bool) -> None:
    from llenergymeasure.engine.loading.load import Source, Sources, load_model
    from llenergymeasure.engine.loading.quantized import write_quantized
    from llenergymeasure.models.snapshot import read_snapshot

    four_bit = run(pytorch={"load_in_4bit": True})
    base = read_snapshot(four_bit.observation.snapshots["model"].path)  # type: ignore[attr-defined]
    kept = tmp_path / "kept"
    kept.mkdir()
    fresh = load_model(four_bit.config, Sources(Source(base.path)))
    write_quantized(fresh.model, base.path, base.files, kept)
    sources = Sources(Source(base.path, quantized=kept))
    if not missing:
        assert not [item for item in load_model(four_bit.config, sources).warnings if "weights" in item["code"]]
        return
    rewrite(kept / "model.safetensors", without(r"layers\.1\.input_layernorm"))
    with pytest.raises(ExperimentFailure, match="MissingWeights"):
        load_model(four_bit.config, sources)


def test_a_quantization_that_the_library_does_not_know_is_a_failure(run: Runner, tmp_path: Path) -> None:
    folder = model_folder(tmp_path / "exl", config={"quantization_config": {"quant_method": "exl9", "bits": 4}})
    with pytest.raises(ExperimentFailure, match="UnknownQuantization") as caught:
        run(model=str(folder))
    assert "quantization_config.quant_method: exl9" in caught.value.reason


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU may run FP8")
def test_a_quantization_that_the_library_undoes_is_a_warning_and_shows_in_the_evidence(
    run: Runner, tmp_path: Path
) -> None:
    settings = {"quant_method": "fp8", "weight_block_size": [16, 16], "activation_scheme": "dynamic"}
    folder = model_folder(tmp_path / "fp8", config={"quantization_config": settings})
    done = run(model=str(folder))
    assert [item["code"] for item in checkpoint_warnings(done.observation)] == ["checkpoint-dequantized"]
    entry = done.evidence["config.json: quantization_config"]
    assert (entry["effective"], entry["verdict"]) == ("fp8, dequantized", "default")


def test_a_checkpoint_that_bitsandbytes_quantized_shows_its_method(run: Runner, tmp_path: Path) -> None:
    from llenergymeasure.engine.loading.load import Source, Sources, load_model
    from llenergymeasure.engine.loading.quantized import write_quantized
    from llenergymeasure.models.snapshot import read_snapshot

    plain = run()
    base = read_snapshot(plain.observation.snapshots["model"].path)  # type: ignore[attr-defined]
    fresh = load_model(run.config_of(pytorch={"load_in_4bit": True}), Sources(Source(base.path)))
    folder = tmp_path / "bnb"
    folder.mkdir()
    write_quantized(fresh.model, base.path, base.files, folder)
    assert json.loads((folder / "config.json").read_text())["quantization_config"]
    entry: dict[str, Any] = run(model=str(folder)).evidence["config.json: quantization_config"]
    assert entry["effective"] == "bitsandbytes"
    assert "when loaded: 14 × Linear4bit(Params4bit): 4 code bits" in entry["observed"]

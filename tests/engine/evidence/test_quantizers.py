"""Each quantizer that runs on a processor: what it stores is seen, and every way of losing it on the way is noticed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from engine.conftest import Run, Runner, assert_narrow
from quantized_checkpoints import MODEL, bitsandbytes_folder, compressed_tensors_folder, fp8_folder
from transformers.quantizers.base import HfQuantizer

from llenergymeasure.engine.evidence import checkpoint_warnings
from llenergymeasure.engine.failure import ExperimentFailure
from llenergymeasure.engine.loading import load, quantizers

pytestmark = [pytest.mark.slow, pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU has other kernels")]

KEY, OWN = "pytorch.quantization_config", "config.json: quantization_config"
INT4 = {"weight_dtype": "int4", "weight_granularity": {"type": "PerGroup", "group_size": 32}}
MOE = MODEL.replace("random:llama", "random:mixtral") + "&num_local_experts=4"
GPT2 = "random:gpt2?n_embd=128&n_layer=2&n_head=4&vocab_size=300"
# Name → quantization_config, code bits, the least and the most stored bits.
ON_THE_FLY: dict[str, tuple[dict[str, Any], float, float, float]] = {
    "bnb-nf4": ({"quant_method": "bitsandbytes_4bit", "bnb_4bit_quant_type": "nf4"}, 4, 4.2, 4.6),
    "bnb-int8": ({"quant_method": "bitsandbytes", "load_in_8bit": True}, 8, 8.1, 8.3),
    "quanto-int8": ({"quant_method": "quanto", "weights": "int8"}, 8, 8.0, 8.2),
    "quanto-float8": ({"quant_method": "quanto", "weights": "float8"}, 8, 8.0, 8.2),
    "ao-int8wo": ({"quant_method": "torchao", "quant_type": "Int8WeightOnlyConfig"}, 8, 8.1, 8.4),
    "ao-int8dyn": ({"quant_method": "torchao", "quant_type": "Int8DynamicActivationInt8WeightConfig"}, 8, 8.1, 8.4),
    "ao-float8wo": ({"quant_method": "torchao", "quant_type": "Float8WeightOnlyConfig"}, 8, 8.1, 8.3),
    "ao-8da4w": (
        {"quant_method": "torchao", "quant_type": "Int8DynamicActivationIntxWeightConfig", **INT4},
        *(4, 8.7, 8.8),
    ),
}


def quantized(run: Runner, name: str, **changes: Any) -> Run:
    return run(model=MODEL, precision="bf16", pytorch={"quantization_config": {**ON_THE_FLY[name][0], **changes}})


@pytest.mark.parametrize("name", ON_THE_FLY)
def test_weights_quantized_on_the_fly_have_the_width_that_was_asked_for(run: Runner, name: str) -> None:
    settings, code, least, most = ON_THE_FLY[name]
    done = quantized(run, name)
    entry = done.evidence[KEY]
    assert (entry["verdict"], entry["effective"]) == ("applied", settings), entry
    assert done.evidence["precision"]["verdict"] == "applied"
    assert not [path for path, item in done.evidence.items() if item["verdict"] == "ignored"]
    for layers in (done.loaded.storage_at_load, done.observation.storage):
        assert_narrow(layers, number=14, code_bits=code, stored_bits=(least, most))
    plain = 2 * done.loaded.architecture.parameters
    assert done.loaded.resident_bytes < 0.75 * plain, "counted in the tensors inside, not by what they pretend to be"


@pytest.mark.parametrize(
    ("changes", "tied", "says"),
    [
        ({"modules_to_not_convert": [".*"]}, "", "no layer is quantized"),
        ({"include_input_output_embeddings": True}, "", "the embeddings model.embed_tokens are not quantized"),
        (
            {"include_input_output_embeddings": True, "untie_embedding_weights": True},
            "&tie_word_embeddings=true",
            "the embeddings model.embed_tokens, lm_head are not quantized",
        ),
    ],
)
def test_what_the_library_leaves_unquantized_without_a_word_is_ignored(
    run: Runner, changes: dict[str, Any], tied: str, says: str
) -> None:
    settings = {**ON_THE_FLY["ao-int8wo"][0], **changes}
    entry = run(model=MODEL + tied, precision="bf16", pytorch={"quantization_config": settings}).evidence[KEY]
    assert entry["verdict"] == "ignored" and says in entry["observed"]


Lose = Callable[[pytest.MonkeyPatch], None]


def _replaced(change: Callable[[Mapping[str, Any]], Mapping[str, Any]]) -> Lose:
    """The library gets another configuration than the study's."""
    build = quantizers.quantization_from_settings

    def lose(patched: pytest.MonkeyPatch) -> None:
        patched.setattr(quantizers, "quantization_from_settings", lambda settings: build(change(settings)))

    return lose


def _dropped(patched: pytest.MonkeyPatch) -> None:
    patched.setattr(load, "quantization_asked", lambda _: None)


def _undone_in_the_first_pass(patched: pytest.MonkeyPatch) -> None:
    """As compressed-tensors does: the weights are plain ones from the first forward pass on."""
    load_model = load.load_model

    def loaded(*arguments: Any) -> Any:
        made = load_model(*arguments)

        def unpack(model: torch.nn.Module, *_: Any) -> None:
            for name, module in model.named_modules():
                if type(module).__name__ == "QLinear":
                    plain = torch.nn.Linear(module.in_features, module.out_features, bias=False, dtype=torch.bfloat16)
                    parent, _, last = name.rpartition(".")
                    setattr(model.get_submodule(parent), last, plain)

        made.model.register_forward_pre_hook(unpack)
        return made

    patched.setattr("engine.conftest.load_model", loaded)


LOST: dict[str, tuple[str, Lose, str]] = {
    "dropped": ("quanto-int8", _dropped, "the model has no quantizer"),
    "other bits": ("ao-8da4w", _replaced(lambda asked: {**asked, "weight_dtype": "int8"}), "weight_dtype is int8, not"),
    "other type": ("quanto-int8", _replaced(lambda asked: {**asked, "weights": "float8"}), "weights is float8, not"),
    "other code book": (
        "bnb-nf4",
        _replaced(lambda asked: {**asked, "bnb_4bit_quant_type": "fp4"}),
        "bnb_4bit_quant_type is fp4, not nf4",
    ),
    "other class": (
        "ao-int8dyn",
        _replaced(lambda asked: {**asked, "quant_type": "Int8WeightOnlyConfig"}),
        "quant_type is Int8WeightOnlyConfig, not",
    ),
    "other method": ("quanto-int8", _replaced(lambda _: ON_THE_FLY["ao-int8wo"][0]), "quant_method is torchao, not"),
    "other width": ("bnb-nf4", _replaced(lambda _: ON_THE_FLY["bnb-int8"][0]), "bnb_4bit_quant_type is fp4, not nf4"),
    "undone in the first pass": ("quanto-int8", _undone_in_the_first_pass, "now, 14 layers with 88% of the weights"),
}


@pytest.mark.parametrize("how", LOST)
def test_a_quantization_that_is_lost_on_the_way_is_ignored(
    run: Runner, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, lose, says = LOST[how]
    lose(monkeypatch)
    entry = quantized(run, name).evidence[KEY]
    assert entry["verdict"] == "ignored"
    assert says in entry["observed"]


def test_layers_that_are_skipped_unasked_or_not_skipped_are_noticed(
    run: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert quantized(run, "quanto-int8", modules_to_not_convert=["down_proj"]).evidence[KEY]["verdict"] == "applied"
    usual = HfQuantizer.get_modules_to_not_convert
    more = staticmethod(lambda *given, **named: [*usual(*given, **named), "down_proj"])
    monkeypatch.setattr(HfQuantizer, "get_modules_to_not_convert", more)
    entry = quantized(run, "quanto-int8").evidence[KEY]
    assert entry["verdict"] == "ignored"
    assert "2 layers with 20% of the weights stay at 16 bits (model.layers.0.mlp.down_proj" in entry["observed"]


@pytest.mark.parametrize(
    ("model", "settings", "says"),
    [
        (MOE, {"load_in_4bit": True}, "2 layers with 85% of the weights stay at 16 bits (model.layers.0.mlp.experts"),
        (MOE, {"load_in_8bit": True}, "mlp.experts"),
        (GPT2, {"quantization_config": ON_THE_FLY["ao-int8wo"][0]}, "attn.c_attn"),
    ],
)
def test_an_architecture_whose_weights_the_method_leaves_alone_is_not_called_quantized(
    run: Runner, model: str, settings: dict[str, Any], says: str
) -> None:
    evidence = run(model=model, precision="bf16", pytorch=settings).evidence
    (path,) = (f"pytorch.{name}" for name in settings)
    assert evidence[path]["verdict"] == "ignored"
    assert says in evidence[path]["observed"]


def test_experts_that_the_study_skips_are_as_asked(run: Runner) -> None:
    settings = {"quant_method": "quanto", "weights": "int8", "modules_to_not_convert": ["experts"]}
    assert (
        run(model=MOE, precision="bf16", pytorch={"quantization_config": settings}).evidence[KEY]["verdict"]
        == "applied"
    )


Make = Callable[[Path], Path]
CHECKPOINTS: dict[str, tuple[Make, str, str | None]] = {
    "bnb-nf4": (bitsandbytes_folder, "bitsandbytes", None),
    "fp8": (fp8_folder, "fp8, dequantized", "checkpoint-dequantized"),
    **{
        f"ct-{kind}": (
            lambda folder, kind=kind: compressed_tensors_folder(folder, kind),
            "compressed-tensors, decompressed in the first forward pass",
            "checkpoint-decompressed",
        )
        for kind in ("int8", "fp8", "w4")
    },
}


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_what_becomes_of_a_checkpoints_own_quantization_is_said(run: Runner, tmp_path: Path, name: str) -> None:
    make, effective, code = CHECKPOINTS[name]
    done = run(model=str(make(tmp_path / "model")), precision="bf16")
    entry = done.evidence[OWN]
    assert (entry["effective"], entry["verdict"]) == (effective, "default")
    assert [item["code"] for item in checkpoint_warnings(done.observation)] == ([] if code is None else [code])
    assert done.evidence["precision"]["verdict"] == "applied"
    assert not [path for path, item in done.evidence.items() if item["verdict"] == "ignored"]


def test_a_checkpoint_that_the_study_wants_dequantized_is_applied_without_a_warning(
    run: Runner, tmp_path: Path
) -> None:
    for name, make in {"compressed-tensors": lambda at: compressed_tensors_folder(at, "w4"), "fp8": fp8_folder}.items():
        settings = {"quant_method": name, "dequantize": True}
        model = str(make(tmp_path / name))
        done = run(model=model, precision="bf16", pytorch={"quantization_config": settings})
        assert done.evidence[KEY]["verdict"] == "applied"
        assert checkpoint_warnings(done.observation) == []
        plain = run(model=model, precision="bf16", pytorch={"quantization_config": {"quant_method": name}})
        assert plain.evidence[KEY]["verdict"] == "ignored", "it asks for quantized weights, and they are not"


def test_a_kernel_that_the_processor_does_not_have_is_ignored(run: Runner, tmp_path: Path) -> None:
    model = str(compressed_tensors_folder(tmp_path / "fp8", "fp8"))
    settings = {"quant_method": "compressed-tensors", "use_optimized_inference": True}
    assert (
        run(model=model, precision="bf16", pytorch={"quantization_config": settings}).evidence[KEY]["verdict"]
        == "ignored"
    )


@pytest.mark.parametrize(
    ("pytorch", "says"),
    [
        ({"load_in_8bit": True}, "sets load_in_8bit to true"),
        ({"quantization_config": {"quant_method": "quanto", "weights": "int8"}}, "asks for quanto"),
    ],
)
def test_a_second_quantization_is_refused_before_anything_is_loaded(
    run: Runner, tmp_path: Path, pytorch: dict[str, Any], says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = str(bitsandbytes_folder(tmp_path / "nf4"))

    def loads(*_: Any, **__: Any) -> None:
        raise AssertionError("weights were loaded")

    monkeypatch.setattr(load.AutoModelForCausalLM, "from_pretrained", loads)
    with pytest.raises(ExperimentFailure, match="QuantizationClash") as caught:
        run(model=model, precision="bf16", pytorch=pytorch)
    assert says in caught.value.reason


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"quant_method": "fp8"}, "A GPU or XPU is needed for FP8 quantization"),
        ({"quant_method": "hqq", "nbits": 4}, "HQQ"),
        ({"quant_method": "awq"}, "awq only reads checkpoints that are quantized with it"),
        ({"quant_method": "torchao", "quant_type": "Int4WeightOnlyConfig"}, ""),
    ],
)
def test_what_this_machine_cannot_do_is_a_recorded_failure(run: Runner, settings: dict[str, Any], says: str) -> None:
    with pytest.raises(ExperimentFailure) as caught:
        run(model=MODEL, precision="bf16", pytorch={"quantization_config": settings})
    assert caught.value.stage == "load"
    assert says in caught.value.reason
    assert "\n" not in caught.value.reason

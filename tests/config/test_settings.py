"""The settings of an experiment: names, types, limits, defaults, presets."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from llenergymeasure.config import (
    BaselineConfig,
    DatasetConfig,
    DecoderConfig,
    EnergyConfig,
    ExperimentConfig,
    MeasurementConfig,
    PassthroughConfig,
    PyTorchConfig,
    StudyConfig,
    WarmupConfig,
)
from llenergymeasure.config.settings.decoder import PRESETS

MODEL = "random:llama?seed=7"

ACCEPTED: list[tuple[str, list[Any]]] = [
    ("batch_size", [1, 64]),
    (
        "attn_implementation",
        ["sdpa", "eager", "flex_attention", "flash_attention_4", f"kernels-community/x@{'a' * 40}:f"],
    ),
    ("torch_compile", [True, False]),
    ("load_in_4bit", [True, False]),
    ("load_in_8bit", [True, False]),
    ("use_cache", [True, False]),
    (
        "cache_implementation",
        ["static", "offloaded_static", "dynamic", "offloaded", "quantized", "sliding_window"],
    ),
    ("num_beams", [1, 8]),
    ("no_repeat_ngram_size", [0, 3]),
    ("prompt_lookup_num_tokens", [1, 10]),
    ("device_map", ["auto", "balanced", "balanced_low_0", "sequential", "cpu", "cuda", "cuda:1", {"": 0}]),
    ("max_memory", [{0: "10GiB", "cpu": "50GiB"}, {"cpu": 1000}]),
    ("revision", ["main", "a" * 40]),
    ("trust_remote_code", [True, False]),
    ("num_processes", [1, 4]),
    ("devices", [1, 8]),
    ("batching", ["static", "continuous"]),
    ("prefill_chunk_size", [1, 512]),
    ("assistant_model", ["org/draft", "random:llama?seed=8"]),
    ("adapter", ["org/lora", "./lora"]),
    ("allow_tf32", [True, False]),
    ("inference_mode", [True, False]),
    ("tp_size", [1, 2]),
]
REFUSED: list[tuple[str, list[Any]]] = [
    ("batch_size", [0, -1, True, "8", 1.5]),
    ("attn_implementation", ["SDPA", "kernels-community/x", "kernels-community/x@main", f"me/x@{'a' * 40}", "a b", 1]),
    ("torch_compile", [1, "true", "yes"]),
    ("torch_compile_mode", [1, ""]),
    ("load_in_4bit", [1, 0]),
    ("bnb_4bit_compute_dtype", ["fp16", "bf16"]),
    ("bnb_4bit_quant_type", ["int4"]),
    ("cache_implementation", ["hybrid", "mamba", "paged", "hybrid_chunked", "statik", 1]),
    ("num_beams", [0]),
    ("early_stopping", ["always", 1]),
    ("length_penalty", [float("nan"), float("inf"), "1.0", True]),
    ("no_repeat_ngram_size", [-1]),
    ("prompt_lookup_num_tokens", [0]),
    ("device_map", ["auot", "gpu", 0]),
    ("max_memory", [{0: "10 gigs"}, {"gpu": "1GiB"}, {}, "10GiB"]),
    ("revision", ["", 1]),
    ("num_processes", [0]),
    ("devices", [0, True, "2"]),
    ("batching", ["dynamic", True]),
    ("prefill_chunk_size", [0, True]),
    ("assistant_model", ["draft model", 1]),
    ("adapter", ["random:llama", "package:a/b.gguf", 1]),
    ("compile_config", [{}, {"modus": "default"}, {"fullgraph": "yes"}, {"mode": True}, "default"]),
    ("allow_tf32", [1]),
    ("inference_mode", [1]),
    ("tp_plan", ["colwise", True]),
    ("tp_size", [0]),
]


@pytest.mark.parametrize(("name", "values"), ACCEPTED)
def test_pytorch_setting_takes(name: str, values: list[Any]) -> None:
    for value in values:
        assert getattr(PyTorchConfig(**{name: value}), name) == value
    assert getattr(PyTorchConfig(), name) is None


@pytest.mark.parametrize(("name", "values"), REFUSED)
def test_pytorch_setting_refuses(name: str, values: list[Any]) -> None:
    for value in values:
        with pytest.raises(ValidationError, match=name):
            PyTorchConfig(**{name: value})


def test_pytorch_settings_that_need_others() -> None:
    compiled = PyTorchConfig(
        torch_compile=True, torch_compile_mode="max-autotune-no-cudagraphs", torch_compile_backend="inductor"
    )
    assert compiled.torch_compile_mode == "max-autotune-no-cudagraphs"
    for dtype in ("float16", "bfloat16", "float32"):
        PyTorchConfig(load_in_4bit=True, bnb_4bit_compute_dtype=dtype, bnb_4bit_quant_type="nf4")
    for stop in (True, False, "never"):
        assert PyTorchConfig(num_beams=2, early_stopping=stop, length_penalty=2).early_stopping == stop


def test_the_audit_names_every_setting() -> None:
    audited = {
        *("batch_size", "attn_implementation", "torch_compile", "torch_compile_mode", "torch_compile_backend"),
        *("load_in_4bit", "load_in_8bit", "bnb_4bit_compute_dtype", "bnb_4bit_quant_type"),
        *("bnb_4bit_use_double_quant", "use_cache", "cache_implementation", "num_beams", "early_stopping"),
        *("length_penalty", "no_repeat_ngram_size", "prompt_lookup_num_tokens", "device_map", "max_memory"),
        *("revision", "trust_remote_code", "num_processes"),
    }
    beyond = {
        *("batching", "prefill_chunk_size", "assistant_model", "assistant_revision", "compile_config"),
        *("tp_plan", "tp_size", "adapter", "adapter_revision", "allow_tf32", "inference_mode"),
        *("devices", "quantization_config"),
    }
    assert set(PyTorchConfig.model_fields) == audited | beyond


@pytest.mark.parametrize(
    ("name", "reason"), [("hybrid", "silently runs a DynamicCache"), ("mamba", "refuses it with a ValueError")]
)
def test_gone_cache_names_say_why(name: str, reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        PyTorchConfig(cache_implementation=name)


def test_decoder_defaults() -> None:
    decoder = DecoderConfig()
    assert decoder.model_dump() == {
        "preset": None,
        "temperature": 1.0,
        "do_sample": True,
        "top_k": 50,
        "top_p": 1.0,
        "min_p": None,
        "typical_p": None,
        "top_h": None,
        "repetition_penalty": 1.0,
        "min_new_tokens": None,
    }
    assert ExperimentConfig(model=MODEL).decoder == decoder


@pytest.mark.parametrize("preset", ["deterministic", "standard", "creative", "factual"])
def test_preset_is_expanded_and_keeps_do_sample(preset: str) -> None:
    decoder = DecoderConfig(preset=preset)
    for name, value in PRESETS[preset].items():
        assert getattr(decoder, name) == value
    assert decoder.do_sample is (preset != "deterministic")


def test_explicit_keys_win_over_the_preset() -> None:
    decoder = DecoderConfig(preset="creative", temperature=0.5, top_k=0)
    assert (decoder.temperature, decoder.top_k, decoder.top_p) == (0.5, 0, PRESETS["creative"]["top_p"])


def test_explicit_key_that_contradicts_the_preset_is_refused() -> None:
    with pytest.raises(ValidationError, match="sampler-needs-sampling"):
        DecoderConfig(preset="deterministic", temperature=0.7)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("temperature", -0.1),
        ("temperature", float("nan")),
        ("top_k", -1),
        ("top_k", 5.0),
        ("top_p", 1.1),
        ("min_p", 1.1),
        ("repetition_penalty", 0),
        ("min_new_tokens", 0),
        ("preset", "wild"),
        ("do_sample", 1),
    ],
)
def test_decoder_refuses(name: str, value: Any) -> None:
    with pytest.raises(ValidationError, match=name):
        DecoderConfig(**{name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("model", "no-organisation"),
        ("precision", "fp8"),
        ("max_input_tokens", 0),
        ("max_output_tokens", True),
        ("fixed_output", "true"),
        ("n_prompts", 0),
        ("n_prompts", "8"),
        ("random_seed", -1),
        ("random_seed", 2**32),
        ("cpu_threads", 0),
        ("energy", {"meters": []}),
        ("energy", {"meters": ["wattmeter"]}),
        ("energy", {"boundary": []}),
        ("energy", {"boundary": ["wall"]}),
        ("warmup", {"cv_window": 1}),
        ("dataset", {"source": "hub", "name": "a/b", "revision": "../x", "path": "x", "column": "y"}),
        ("passthrough_kwargs", {"generate": {"epsilon_cutoff": float("nan")}}),
        ("passthrough_kwargs", {"generate": {"epsilon_cutoff": object()}}),
    ],
)
def test_experiment_refuses(name: str, value: Any) -> None:
    with pytest.raises(ValidationError, match=name):
        ExperimentConfig(**{"model": MODEL, name: value})


@pytest.mark.parametrize(
    "model",
    [
        BaselineConfig,
        DatasetConfig,
        DecoderConfig,
        EnergyConfig,
        ExperimentConfig,
        MeasurementConfig,
        PassthroughConfig,
        PyTorchConfig,
        StudyConfig,
        WarmupConfig,
    ],
)
def test_unknown_keys_are_errors_and_nothing_changes_later(model: type[BaseModel]) -> None:
    needed = {"model": MODEL} if model is ExperimentConfig else {"study": "a"} if model is StudyConfig else {}
    with pytest.raises(ValidationError, match="extra_forbidden"):
        model(**needed, batchsize=1)
    made = model(**needed)
    with pytest.raises(ValidationError, match="frozen"):
        setattr(made, next(iter(model.model_fields)), None)


def test_every_setting_is_described() -> None:
    for model in (ExperimentConfig, PyTorchConfig, DecoderConfig, DatasetConfig, WarmupConfig, MeasurementConfig):
        undescribed = [name for name, field in model.model_fields.items() if not field.description]
        assert not undescribed, model


def test_an_experiment_survives_the_plan() -> None:
    """plan.json is JSON: device numbers come back as text, 2.0 may come back as 2."""
    import json

    config = ExperimentConfig(
        model=MODEL,
        pytorch={"max_memory": {0: "10GiB", "cpu": "1GiB"}, "device_map": "auto", "num_beams": 2, "length_penalty": 2},
        decoder={"preset": "deterministic"},
        dataset={"kinds": ["question"]},
        passthrough_kwargs={"generate": {"epsilon_cutoff": 0.5}},
    )
    again = ExperimentConfig.model_validate(json.loads(json.dumps(config.model_dump(mode="json"))))
    assert again == config

"""One declaration per parameter: wiring, evidence, introspection and support tables follow from it."""

from __future__ import annotations

import pytest

from llenergymeasure.config import DecoderConfig, ExperimentConfig, PyTorchConfig, introspection, ssot
from llenergymeasure.config.settings.registry import keywords, parameters, requested

MODEL = "random:llama?seed=7"


def experiment(**settings: object) -> ExperimentConfig:
    return ExperimentConfig(**{"model": MODEL, **settings})  # type: ignore[arg-type]


def test_every_engine_setting_is_declared() -> None:
    expected = {f"pytorch.{name}" for name in PyTorchConfig.model_fields}
    expected |= {f"decoder.{name}" for name in DecoderConfig.model_fields if name != "preset"}
    expected |= {"precision", "max_input_tokens", "max_output_tokens", "random_seed", "cpu_threads"}
    expected |= {"dataset.system_prompt", "dataset.chat_template_kwargs"}
    assert set(parameters()) == expected


def test_none_is_not_passed_on() -> None:
    assert keywords(experiment(), "from_pretrained") == {"dtype": "bf16"}
    assert keywords(experiment(), "bitsandbytes") == {}
    assert keywords(experiment(), "compile") == {}
    assert "pytorch.use_cache" not in requested(experiment())


def test_keywords_have_the_library_names() -> None:
    config = experiment(
        precision="fp16",
        max_output_tokens=9,
        pytorch={
            "torch_compile": True,
            "torch_compile_mode": "default",
            "load_in_4bit": True,
            "bnb_4bit_quant_type": "nf4",
            "attn_implementation": "eager",
            "use_cache": False,
        },
    )
    assert keywords(config, "from_pretrained") == {"dtype": "fp16", "attn_implementation": "eager"}
    assert keywords(config, "bitsandbytes") == {"load_in_4bit": True, "bnb_4bit_quant_type": "nf4"}
    assert keywords(config, "compile") == {"mode": "default"}
    generate = keywords(config, "generate")
    assert generate["max_new_tokens"] == 9
    assert generate["use_cache"] is False
    assert generate["do_sample"] is True and generate["top_k"] == 50


def test_greedy_decoding_asks_for_no_sampler() -> None:
    config = experiment(decoder={"preset": "deterministic"})
    generate = keywords(config, "generate")
    assert generate["do_sample"] is False
    assert not {"temperature", "top_k", "top_p", "min_p"} & set(generate)
    assert generate["repetition_penalty"] == 1.0
    assert not {"decoder.temperature", "decoder.top_k", "decoder.top_p"} & set(requested(config))


def test_keywords_are_ones_that_the_installed_library_has() -> None:
    transformers = pytest.importorskip("transformers")
    generation = vars(transformers.GenerationConfig())
    quantization = vars(transformers.BitsAndBytesConfig(load_in_4bit=True))
    for item in parameters().values():
        if item.target == "generate":
            # A draft model is an argument of `generate` itself.
            assert item.keyword in {*generation, "assistant_model"}, item.path
        if item.target == "bitsandbytes":
            assert item.keyword in quantization or f"_{item.keyword}" in quantization, item.path


def test_library_defaults_are_the_installed_librarys() -> None:
    transformers = pytest.importorskip("transformers")
    defaults = transformers.GenerationConfig()
    made = {**transformers.GenerationConfig()._get_default_generation_params()}
    for item in parameters().values():
        if item.target == "generate" and type(item.library_default) in (int, float, bool):
            installed = getattr(defaults, item.keyword)
            installed = made[item.keyword] if installed is None else installed
            assert installed == item.library_default, item.path
    quantization = transformers.BitsAndBytesConfig(load_in_4bit=True)
    assert quantization.bnb_4bit_quant_type == parameters()["pytorch.bnb_4bit_quant_type"].library_default
    compute = str(quantization.bnb_4bit_compute_dtype).removeprefix("torch.")
    assert compute == parameters()["pytorch.bnb_4bit_compute_dtype"].library_default
    double = parameters()["pytorch.bnb_4bit_use_double_quant"].library_default
    assert quantization.bnb_4bit_use_double_quant == double


def test_cache_names_are_what_the_installed_library_accepts() -> None:
    module = pytest.importorskip("transformers.generation.configuration_utils")
    options = introspection.get_param_options("pytorch.cache_implementation") or []
    current = {*module.STATIC_CACHE_IMPLEMENTATIONS, *module.DYNAMIC_CACHE_IMPLEMENTATIONS}
    assert set(options) == {*current, "sliding_window"}


def test_setup_level() -> None:
    declared = {path for path, item in parameters().items() if item.level == "setup"}
    assert declared == {
        *("precision", "cpu_threads", "pytorch.attn_implementation", "pytorch.device_map", "pytorch.max_memory"),
        *("pytorch.revision", "pytorch.trust_remote_code", "pytorch.num_processes", "pytorch.devices"),
        *("pytorch.adapter", "pytorch.adapter_revision", "pytorch.allow_tf32", "pytorch.inference_mode"),
        *("pytorch.tp_plan", "pytorch.tp_size"),
        *("pytorch.assistant_model", "pytorch.assistant_revision"),
        *("pytorch.torch_compile", "pytorch.torch_compile_mode", "pytorch.torch_compile_backend"),
        *("pytorch.load_in_4bit", "pytorch.load_in_8bit", "pytorch.bnb_4bit_compute_dtype"),
        "pytorch.quantization_config",
        *("pytorch.bnb_4bit_quant_type", "pytorch.bnb_4bit_use_double_quant"),
    }


def test_introspection() -> None:
    pytorch = introspection.get_backend_specific_params()["pytorch"]
    assert pytorch == [f"pytorch.{name}" for name in PyTorchConfig.model_fields]
    shared = introspection.get_shared_params()
    assert "decoder.min_p" in shared and "precision" in shared
    assert set(introspection.get_all_params()) == {*pytorch, *shared}
    assert introspection.get_all_params()["pytorch.num_beams"]["keyword"] == "num_beams"
    clashes = introspection.get_mutual_exclusions()
    assert clashes["pytorch.load_in_4bit"] == ["pytorch.quantization_config", "pytorch.load_in_8bit"]
    assert clashes["pytorch.load_in_8bit"] == ["pytorch.quantization_config", "pytorch.load_in_4bit"]
    assert clashes["pytorch.torch_compile_mode"] == [
        "pytorch.torch_compile: false",
        "pytorch.torch_compile_backend other than inductor",
    ]
    skip = introspection.get_param_skip_conditions()
    assert "compute capability 9.0" in skip["pytorch.attn_implementation"]
    assert "num_beams" in skip["pytorch.early_stopping"]
    assert "batch_size" in skip["pytorch.prompt_lookup_num_tokens"]
    assert introspection.get_param_options("pytorch.early_stopping") == [True, False, "never"]
    assert introspection.get_param_options("pytorch.batch_size") is None
    assert introspection.get_experiment_config_schema()["required"] == ["model"]


def test_rules_are_listed_once_each() -> None:
    listed = introspection.get_validation_rules()
    ids = [rule["id"] for rule in listed]
    assert len(ids) == len(set(ids))
    assert {"compile-mode-needs-compile", "model-unpinned", "unknown-key", "passthrough-unknown"} <= set(ids)
    assert all(rule["severity"] in ("error", "warning") and rule["message"] and rule["fix"] for rule in listed)
    assert all(rule["id"] == rule["id"].lower() and "_" not in rule["id"] for rule in listed)


@pytest.mark.parametrize("path", list(parameters()))
def test_test_values_are_valid(path: str) -> None:
    """Every value offered for trying is accepted by the setting itself."""
    from llenergymeasure.config.study.build import build

    for value in introspection.get_param_test_values(path):
        _, problems = build({"model": MODEL, path: value})
        assert "wrong-value" not in {problem.rule for problem in problems}


def test_support_tables() -> None:
    assert ssot.PRECISION_SUPPORT == {"pytorch": ["fp32", "fp16", "bf16"]}
    assert set(ssot.DECODING_SUPPORT["pytorch"]) == {
        *("greedy", "sampling", "beam_search", "beam_sampling", "prompt_lookup", "assisted")
    }
    assert ssot.DECODER_PARAM_SUPPORT["pytorch"] == [
        *(
            "temperature",
            "do_sample",
            "top_k",
            "top_p",
            "min_p",
            "typical_p",
            "top_h",
            "repetition_penalty",
            "min_new_tokens",
        )
    ]

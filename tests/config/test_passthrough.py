"""The one opening for keywords of the library, and what does not go through."""

from __future__ import annotations

import pytest

from llenergymeasure.config import ExperimentConfig
from llenergymeasure.config.rules.passthrough import check_passthrough, check_torch_compile
from llenergymeasure.config.study.build import build

MODEL = {"model": "random:llama"}
ACCEPTED = {
    "from_pretrained": {"offload_folder"},
    "bitsandbytes": {"llm_int8_threshold"},
    "generate": {"epsilon_cutoff", "top_h"},
    "compile": {"dynamic"},
}


@pytest.mark.parametrize(
    ("key", "setting"),
    [
        ("generate.num_beams", "pytorch.num_beams"),
        ("generate.max_new_tokens", "max_output_tokens"),
        ("generate.max_length", "max_output_tokens"),
        ("generate.batch_size", "pytorch.batch_size"),
        ("generate.do_sample", "decoder.do_sample"),
        ("from_pretrained.dtype", "precision"),
        ("from_pretrained.torch_dtype", "precision"),
        ("from_pretrained.quantization_config", "pytorch.quantization_config"),
        ("from_pretrained.load_in_8bit", "pytorch.load_in_8bit"),
        ("bitsandbytes.bnb_4bit_quant_type", "pytorch.bnb_4bit_quant_type"),
        ("compile.mode", "pytorch.torch_compile_mode"),
        ("compile.backend", "pytorch.torch_compile_backend"),
    ],
)
def test_a_keyword_with_a_setting_names_it(key: str, setting: str) -> None:
    config, problems = build({**MODEL, f"passthrough_kwargs.{key}": 1})
    assert config is None
    (problem,) = problems
    assert problem.rule == "passthrough-names-setting"
    assert problem.path == f"passthrough_kwargs.{key}" and setting in str(problem.hint)


@pytest.mark.parametrize(
    "key",
    [
        "generate.streamer",
        "generate.custom_generate",
        "generate.output_logits",
        "generate.tokenizer",
        "from_pretrained.ignore_mismatched_sizes",
        "from_pretrained.token",
        "from_pretrained.use_safetensors",
    ],
)
def test_what_the_measurement_needs_is_refused(key: str) -> None:
    (problem,) = build({**MODEL, f"passthrough_kwargs.{key}": 1})[1]
    assert problem.rule == "passthrough-reserved"


def test_known_keywords_pass() -> None:
    config = ExperimentConfig(
        **MODEL,
        pytorch={"load_in_8bit": True},
        passthrough_kwargs={
            "from_pretrained": {"offload_folder": "x"},
            "bitsandbytes": {"llm_int8_threshold": 5.0},
            "generate": {"epsilon_cutoff": 0.9},
            "compile": {"dynamic": False},
        },
    )
    assert check_passthrough(config, ACCEPTED) == []


def test_unknown_keywords_get_the_nearest_name() -> None:
    config = ExperimentConfig(
        **MODEL, passthrough_kwargs={"generate": {"epsilon_cutoffp": 0.9}, "compile": {"epsilon_cutoff": 1}}
    )
    problems = check_passthrough(config, ACCEPTED)
    assert [(item.path, item.rule) for item in problems] == [
        ("passthrough_kwargs.generate.epsilon_cutoffp", "passthrough-unknown"),
        ("passthrough_kwargs.compile.epsilon_cutoff", "passthrough-unknown"),
    ]
    assert problems[0].hint == "did you mean epsilon_cutoff?"


def test_compile_mode_and_backend_are_checked_against_the_installed_torch() -> None:
    misspelt = ExperimentConfig(**MODEL, pytorch={"torch_compile": True, "torch_compile_mode": "reduce-overhed"})
    foreign = ExperimentConfig(**MODEL, pytorch={"torch_compile": True, "torch_compile_backend": "tvm"})
    modes, backends = ["default", "reduce-overhead"], ["inductor", "cudagraphs"]
    (mode,) = check_torch_compile(misspelt, modes, backends)
    (backend,) = check_torch_compile(foreign, modes, backends)
    assert (mode.rule, mode.hint) == ("compile-mode-unknown", "did you mean reduce-overhead?")
    assert (backend.rule, backend.hint) == ("compile-backend-unknown", "use one of cudagraphs, inductor")
    assert check_torch_compile(misspelt, ["reduce-overhed"], backends) == []
    assert check_torch_compile(foreign, modes, ["tvm"]) == []
    assert check_torch_compile(ExperimentConfig(**MODEL), []) == []

"""The installed libraries are asked about every experiment, so that their rules apply without a line of ours."""

from __future__ import annotations

import importlib.util
from typing import Any

import pytest
import torch
import transformers

from llenergymeasure.config import ExperimentConfig
from llenergymeasure.config.problems.problem import Problem
from llenergymeasure.engine.check import check_experiment

GREEDY = {"do_sample": False}


def problems(**settings: Any) -> list[Problem]:
    return check_experiment(ExperimentConfig.model_validate({"model": "random:llama", **settings}))


def passed(target: str, **keywords: Any) -> dict[str, Any]:
    return {"passthrough_kwargs": {target: keywords}}


def test_usual_settings_are_fine() -> None:
    assert problems() == []
    assert problems(decoder=GREEDY) == []
    assert problems(pytorch={"load_in_4bit": True, "bnb_4bit_compute_dtype": "bfloat16"}) == []
    assert problems(pytorch={"batching": "continuous", "batch_size": 4}) == []
    assert problems(pytorch={"assistant_model": "random:llama?seed=8"}) == []


def test_what_the_library_would_ignore_is_a_warning_that_names_the_setting() -> None:
    (problem,) = problems(decoder=GREEDY, **passed("generate", epsilon_cutoff=0.3))
    assert (problem.severity, problem.rule) == ("warning", "library-ignores")
    assert problem.path == "passthrough_kwargs.generate.epsilon_cutoff"
    assert "only used in sample-based generation" in problem.message


def test_each_ignored_setting_is_a_warning_of_its_own() -> None:
    warnings = problems(decoder=GREEDY, **passed("generate", epsilon_cutoff=0.3, eta_cutoff=0.3))
    assert sorted(problem.path for problem in warnings) == [
        *("passthrough_kwargs.generate.epsilon_cutoff", "passthrough_kwargs.generate.eta_cutoff")
    ]


def test_what_the_library_refuses_is_an_error_that_names_the_setting() -> None:
    (problem,) = problems(**passed("generate", assistant_ensemble_weight=2.0))
    assert (problem.severity, problem.rule) == ("error", "library-refuses")
    assert problem.path == "passthrough_kwargs.generate.assistant_ensemble_weight"


def test_a_rule_that_only_a_new_version_has_applies(monkeypatch: pytest.MonkeyPatch) -> None:
    def validate(self: Any, strict: bool = False, **_: Any) -> None:
        if strict and self.num_beams == 3:
            raise ValueError("Invalid: \n- `num_beams`: three beams will have no effect.\nAnd so on.")

    monkeypatch.setattr(transformers.GenerationConfig, "validate", validate)
    (problem,) = problems(decoder=GREEDY, pytorch={"num_beams": 3})
    assert (problem.severity, problem.path) == ("warning", "pytorch.num_beams")
    assert "three beams will have no effect" in problem.message
    assert problems(decoder=GREEDY, pytorch={"num_beams": 2}) == []


def test_bitsandbytes_is_asked() -> None:
    (problem,) = problems(pytorch={"load_in_8bit": True}, **passed("bitsandbytes", llm_int8_threshold="high"))
    assert (problem.severity, problem.rule) == ("error", "library-refuses")
    assert problem.path == "passthrough_kwargs.bitsandbytes.llm_int8_threshold"


def test_torch_is_asked() -> None:
    compiled = {"torch_compile": True, "torch_compile_mode": "default"}
    (problem,) = problems(pytorch=compiled, **passed("compile", options={"max_autotune": True}))
    assert (problem.severity, problem.rule) == ("error", "library-refuses")
    assert "mode" in problem.message and "options" in problem.message


def test_an_unknown_keyword_is_named_once() -> None:
    (problem,) = problems(**passed("generate", epsilon_cutof=0.3))
    assert problem.rule == "passthrough-unknown"
    assert "epsilon_cutoff" in (problem.hint or "")


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a CUDA device")
def test_a_setting_this_machine_cannot_do_is_a_warning() -> None:
    (problem,) = problems(pytorch={"cache_implementation": "offloaded"})
    assert (problem.severity, problem.rule, problem.path) == (
        *("warning", "requirement-unmet"),
        "pytorch.cache_implementation",
    )
    assert "needs a CUDA device" in problem.message and "no CUDA device here" in problem.message
    assert problems(pytorch={"cache_implementation": "dynamic"}) == []


def test_a_package_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    assert problems(pytorch={"cache_implementation": "quantized"}) == []
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == "optimum.quanto" else find(name, *rest)
    )
    (problem,) = problems(pytorch={"cache_implementation": "quantized"})
    assert "optimum.quanto is not installed here" in problem.message

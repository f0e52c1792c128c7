"""Kinds of attention are those of the installed library and of the model's class."""

from __future__ import annotations

from typing import Any

import pytest
from tiny_architectures import tiny_config

from llenergymeasure.config import ExperimentConfig
from llenergymeasure.engine import attention_check
from llenergymeasure.engine.attention_check import attention_problems, class_problems

KERNEL = f"kernels-community/flash-attn2@{'a' * 40}"


def asks(name: str | None) -> ExperimentConfig:
    batching = "continuous" if name is not None and name.startswith("paged|") else None
    asked = {"attn_implementation": name, "batching": batching}
    return ExperimentConfig.model_validate({"model": "random:llama", "precision": "bf16", "pytorch": asked})


@pytest.mark.parametrize("name", [None, "sdpa", "eager", "flex_attention", "flash_attention_4", "paged|eager"])
def test_names_of_the_library_are_known(name: str | None) -> None:
    assert list(attention_problems(asks(name))) == []


def test_a_new_name_of_the_library_needs_no_change_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(attention_check.ALL_ATTENTION_FUNCTIONS._local_mapping, "new_attention", len)
    assert list(attention_problems(asks("new_attention"))) == []


def test_an_unknown_name_is_answered_with_the_librarys_list() -> None:
    (problem,) = attention_problems(asks("flash_attention"))
    assert (problem.severity, problem.path) == ("error", "pytorch.attn_implementation")
    assert "has eager, flash_attention_" in problem.message
    assert problem.hint is not None and problem.hint.startswith("did you mean flash_attention_")


@pytest.mark.parametrize("there", [True, False])
def test_a_kernel_of_the_hub_needs_a_package_in_the_librarys_range(monkeypatch: Any, there: bool) -> None:
    monkeypatch.setattr(attention_check, "is_kernels_available", lambda: there)
    problems = [problem.message for problem in attention_problems(asks(KERNEL))]
    wanted = f"{KERNEL}: needs the package kernels (0.18.2 or newer, older than 0.19.0), which is not installed here"
    assert problems == ([] if there else [wanted])


@pytest.mark.parametrize(
    ("architecture", "name", "refused"),
    [
        ("llama", "sdpa", False),
        ("llama", "flash_attention_2", False),
        ("bloom", "eager", False),
        ("bloom", "sdpa", True),
        ("bloom", "flex_attention", True),
        ("bloom", "flash_attention_2", True),
    ],
)
def test_a_kind_that_the_models_class_lacks_is_refused(architecture: str, name: str, refused: bool) -> None:
    problems = list(class_problems(asks(name), tiny_config(architecture)))
    assert [problem.message for problem in problems] == ([f"BloomForCausalLM has no {name}"] if refused else [])


@pytest.mark.parametrize("name", ["flex_attention", "paged|flex_attention"])
def test_flex_attention_is_refused_for_continuous_batching(name: str) -> None:
    config = ExperimentConfig.model_validate(
        {"model": "random:llama", "pytorch": {"attn_implementation": name, "batching": "continuous"}}
    )
    (problem,) = attention_problems(config)
    assert (problem.severity, problem.rule) == ("error", "library-refuses")
    assert problem.message.startswith(f"{name} cannot read the paged cache")

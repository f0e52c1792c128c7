"""The positions of a model against what its class does at and beyond the last one."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tiny_architectures import tiny_config
from transformers import AutoModelForCausalLM

from llenergymeasure.models.positions import Positions, positions

FIXED = ("biogpt", "codegen", "ctrl", "gpt_bigcode", "gptj", "mpt", "openai-gpt", "opt")
ROTARY = ("cohere", "falcon", "gemma", "gpt_neox", "mistral", "olmo2", "phi", "qwen3", "starcoder2")
WITHOUT = ("bloom", "mamba", "mamba2", "xglm")
SLOW = pytest.mark.slow


def made(architecture: str) -> tuple[Any, Positions]:
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(tiny_config(architecture)).eval()
    headers = [(name, {"shape": list(tensor.shape)}) for name, tensor in model.state_dict().items()]
    return model, positions(model.config, headers)


def generates(model: Any, prompt: int, new: int) -> bool:
    ids = torch.randint(3, 290, (2, prompt))
    given = {"max_new_tokens": new, "min_new_tokens": new, "do_sample": False, "pad_token_id": 0}
    try:
        with torch.inference_mode():
            model.generate(ids, attention_mask=torch.ones_like(ids), **given)
    except (IndexError, RuntimeError):
        return False
    return True


@pytest.mark.parametrize(
    ("architecture", "fixed"),
    [
        ("gpt2", True),
        ("llama", False),
        *(pytest.param(name, True, marks=SLOW) for name in FIXED),
        *(pytest.param(name, False, marks=SLOW) for name in ROTARY),
    ],
)
def test_the_last_position_is_where_the_class_has_it(architecture: str, fixed: bool) -> None:
    model, limits = made(architecture)
    assert limits.limit == (2048 if architecture == "mpt" else 256)
    assert limits.fixed is fixed
    assert (limits.excess(limits.limit - 8, 9), limits.excess(limits.limit - 8, 10)) == (0, 1)
    assert generates(model, limits.limit - 8, 9)
    assert generates(model, limits.limit - 8, 10) is not fixed


@pytest.mark.parametrize("architecture", ["mamba", *(pytest.param(name, marks=SLOW) for name in WITHOUT)])
def test_a_state_or_a_bias_by_distance_has_no_last_position(architecture: str) -> None:
    model, limits = made(architecture)
    assert limits == Positions()
    assert generates(model, 300, 4)


def test_a_stray_field_is_no_limit() -> None:
    config = tiny_config("mamba")
    config.max_position_embeddings = 8
    assert positions(config, []).limit is None


def test_the_tokenizers_own_limit_counts_where_it_is_one() -> None:
    config = tiny_config("llama")
    assert positions(config, [], 100) == Positions(100, False, "the tokenizer (model_max_length)")
    assert positions(config, [], 10**30).limit == positions(config, [], 1000).limit == 256


@pytest.mark.parametrize(
    ("scaling", "limit"),
    [
        ({"rope_type": "linear", "factor": 4.0}, 1024),
        # Of Qwen2.5: what is stated is the length before scaling. Of DeepSeek: the length after it.
        ({"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 256}, 1024),
        ({"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 64}, 256),
        ({"rope_type": "llama3", "factor": 8.0, "original_max_position_embeddings": 64}, 256),
        ({"rope_type": "default"}, 256),
    ],
    ids=lambda value: value["rope_type"] if isinstance(value, dict) else str(value),
)
def test_scaled_rotary_positions_go_as_far_as_they_are_scaled(scaling: dict[str, Any], limit: int) -> None:
    config = tiny_config("llama")
    config.rope_parameters = {"rope_theta": 10000.0, **scaling}
    assert positions(config, []).limit == limit

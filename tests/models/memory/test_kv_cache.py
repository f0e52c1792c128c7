"""The bytes of a cache by formula against those of the cache that the library fills."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tiny_architectures import tiny_config
from transformers import AutoModelForCausalLM, LlamaConfig

from llenergymeasure.models.memory.kv_cache import cache_shape

ROWS, PROMPT, NEW = 2, 48, 8
# One of each kind: grouped heads, latent attention, windows, one head, states alone, states and keys.
KINDS = ("llama", "gpt2", "falcon", "deepseek_v3", "gemma2", "mistral", "mamba2", "qwen3_next", "jamba")
OTHERS = (
    *("apertus", "arcee", "bamba", "bert-generation", "biogpt", "bitnet", "bloom", "codegen", "cohere", "cohere2"),
    *("ctrl", "cwm", "deepseek_v2", "diffllama", "ernie4_5", "exaone4", "falcon_h1", "falcon_mamba", "flex_olmo"),
    *("gemma", "gemma3_text", "glm", "glm4", "glm4_moe", "glm4_moe_lite", "glm_moe_dsa", "gpt_bigcode", "gpt_neo"),
    *("gpt_neox", "gpt_oss", "gptj", "granite", "granitemoe", "granitemoehybrid", "helium", "hunyuan_v1_dense"),
    *("lfm2", "lfm2_moe", "llama4_text", "mamba", "minicpm3", "ministral", "mixtral", "nanochat", "nemotron"),
    *("nemotron_h", "olmo", "olmo2", "olmo3", "olmoe", "opt", "persimmon", "phi", "phi3", "phimoe", "qwen2"),
    *("qwen2_moe", "qwen3", "qwen3_5_text", "qwen3_moe", "seed_oss", "smollm3", "stablelm", "starcoder2", "xglm"),
    *("youtu", "zamba2"),
)


def generate(config: Any, dtype: torch.dtype = torch.float32, **settings: Any) -> Any:
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config, dtype=dtype).eval()
    ids = torch.randint(3, 290, (ROWS, PROMPT))
    given = {"max_new_tokens": NEW, "min_new_tokens": NEW, "do_sample": False, "disable_compile": True, **settings}
    with torch.inference_mode():
        output = model.generate(ids, attention_mask=torch.ones_like(ids), return_dict_in_generate=True, **given)
    return output.get("past_key_values", output.get("cache_params"))


def bytes_of(cache: Any) -> int:
    """Bytes of every tensor that the cache's layers hold, but single numbers."""
    held = [value for layer in cache.layers for value in vars(layer).values()]
    tensors = [item for value in held for item in (value.values() if isinstance(value, dict) else [value])]
    return sum(
        item.numel() * item.element_size() for item in tensors if isinstance(item, torch.Tensor) and item.dim() > 1
    )


@pytest.mark.parametrize(
    "architecture", [*KINDS, *(pytest.param(name, marks=pytest.mark.slow) for name in sorted(OTHERS))]
)
def test_formula_equals_the_cache(architecture: str) -> None:
    config = tiny_config(architecture)
    shape = cache_shape(config)
    assert shape.unsure is None
    assert ROWS * shape.bytes(PROMPT + NEW - 1, 4) == bytes_of(generate(config))


def test_formula_follows_the_number_format() -> None:
    config = tiny_config("llama")
    cache = generate(config, torch.bfloat16)
    assert ROWS * cache_shape(config).bytes(PROMPT + NEW - 1, 2) == bytes_of(cache)


@pytest.mark.parametrize("architecture", ["llama", "gemma2"])
def test_static_cache_is_whole_at_once(architecture: str) -> None:
    config = tiny_config(architecture)
    cache = generate(config, cache_implementation="static")
    assert ROWS * cache_shape(config).bytes(PROMPT + NEW - 1, 4, static=True) == bytes_of(cache)


def test_a_stray_field_groups_no_heads() -> None:
    plain, stray = tiny_config("gpt2"), tiny_config("gpt2")
    stray.num_key_value_heads = 1
    assert cache_shape(stray) == cache_shape(plain)


def test_layers_that_the_formulas_lack_are_named() -> None:
    config = LlamaConfig(num_hidden_layers=2, hidden_size=64, num_attention_heads=4)
    config.layer_types = ["full_attention", "heavily_compressed_attention"]
    assert cache_shape(config).unsure == "layers of kind heavily_compressed_attention"

"""Small random models of the library's architectures, by their names in `random:` references."""

from __future__ import annotations

import json
from dataclasses import fields
from typing import Any
from urllib.parse import quote

from transformers import AutoConfig, PreTrainedConfig

# A configuration takes those that its class has.
SIZES: dict[str, Any] = {
    "hidden_size": 64,
    "d_model": 64,
    "embedding_size": 64,
    "word_embed_proj_dim": 64,
    "attention_hidden_size": 64,
    "intermediate_size": 96,
    "ffn_dim": 96,
    "ffn_hidden_size": 64,
    "n_inner": 96,
    "moe_intermediate_size": 32,
    "shared_expert_intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "num_heads": 8,
    "vocab_size": 300,
    "max_position_embeddings": 256,
    "rotary_dim": 8,
    "sliding_window": 32,
    "num_local_experts": 4,
    "num_experts": 4,
    "n_routed_experts": 4,
    "num_experts_per_tok": 2,
    "n_group": 1,
    "topk_group": 1,
    "kv_lora_rank": 16,
    "q_lora_rank": 24,
    "qk_rope_head_dim": 8,
    "qk_nope_head_dim": 16,
    "v_head_dim": 16,
    "state_size": 16,
    "n_groups": 1,
    "expand": 2,
    "mamba_d_state": 16,
    "mamba_n_heads": 8,
    "mamba_d_head": 16,
    "mamba_n_groups": 1,
    "mamba_d_ssm": 128,
    "mamba_num_heads": 8,
    "mamba_head_dim": 16,
    "linear_num_key_heads": 2,
    "linear_num_value_heads": 4,
    "linear_key_head_dim": 16,
    "linear_value_head_dim": 16,
}
# Layers of both kinds, and sizes that an architecture insists on.
_LATENT = {"num_key_value_heads": 4}
_MIXED = {"layer_types": ["linear_attention", "full_attention"]}
OWN: dict[str, dict[str, Any]] = {
    "bamba": {"attn_layer_indices": [1]},
    "deepseek_v2": _LATENT,
    "deepseek_v3": _LATENT,
    "glm4_moe_lite": _LATENT,
    "glm_moe_dsa": _LATENT,
    "gpt_neo": {"attention_types": [[["global", "local"], 1]], "window_size": 32},
    "granitemoehybrid": {"layer_types": ["mamba", "attention"]},
    "jamba": {"attn_layer_offset": 1, "attn_layer_period": 2},
    "lfm2": {"layer_types": ["conv", "full_attention"]},
    "lfm2_moe": {"layer_types": ["conv", "full_attention"]},
    "minicpm3": _LATENT,
    "qwen3_5_text": _MIXED,
    "qwen3_next": _MIXED,
    "youtu": _LATENT,
    "zamba2": {"layers_block_type": ["mamba", "hybrid"]},
}
SPECIAL_TOKENS = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}


def tiny_fields(architecture: str) -> dict[str, Any]:
    """The fields that make an architecture tiny."""
    kind = type(AutoConfig.for_model(architecture))
    known = {field.name for field in fields(kind)} | set(kind.attribute_map)
    # A field may have two names: set one of them.
    doubled = {name for name, target in kind.attribute_map.items() if target in SIZES and target in known}
    sizes = {name: value for name, value in SIZES.items() if name in known - doubled}
    return sizes | OWN.get(architecture, {})


def tiny_config(architecture: str) -> PreTrainedConfig:
    """Its configuration: two layers of 64 numbers, 300 tokens, 256 positions."""
    config: PreTrainedConfig = AutoConfig.for_model(architecture, **tiny_fields(architecture), **SPECIAL_TOKENS)
    return config


def tiny_name(architecture: str, **more: Any) -> str:
    """Its name as a model of a study, whose weights are drawn."""
    given = {**tiny_fields(architecture), **more}
    return f"random:{architecture}?" + "&".join(f"{name}={quote(json.dumps(value))}" for name, value in given.items())

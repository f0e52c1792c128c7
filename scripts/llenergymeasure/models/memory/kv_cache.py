"""The key-value cache of a model, in bytes, from its configuration alone.

The library's own functions say which layers a model has and how many heads of which size they keep. Only what they
leave out is here: latent attention, architectures with one head or without grouping, and states of constant size.
tests/models/memory compares the result with the cache itself.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

_STATES = ("linear_attention", "conv", "hybrid", "hybrid_sliding")
_NO_TOKENS = ("linear_attention", "conv", "dummy")
_WINDOWS = ("sliding_attention", "hybrid_sliding", "chunked_attention")
_KNOWN = {*_STATES, *_NO_TOKENS, *_WINDOWS, "full_attention", "indexed_attention"}
# The library generates without a cache for these.
_WITHOUT_CACHE = ("openai-gpt", "xlm", "xlnet", "reformer")
_UNKNOWN_STATES = "states of a kind that is not known"
# Their classes do not keep what the configuration says.
_OTHERWISE = {
    "cpmant": "a prefix of its own",
    "mimo_v2_flash": "other heads in the layers with a window",
}


@dataclass(frozen=True)
class KeptLayer:
    """What one layer keeps of a sequence.

    per_token: numbers per token; window: tokens that it keeps at most, None for all of them
    state: numbers of constant size; state_fp32: those of them that stay in float32 whatever the model's number format
    """

    per_token: int
    window: int | None = None
    state: int = 0
    state_fp32: int = 0


@dataclass(frozen=True)
class CacheShape:
    """A model's layers. `unsure` names what the formulas do not cover; the bytes are then a guess."""

    layers: tuple[KeptLayer, ...]
    unsure: str | None = None

    def bytes(self, tokens: int, item_bytes: float, *, static: bool = False) -> int:
        """Of one sequence. A static cache holds a whole window; one that grows holds a token less."""
        total = 0.0
        for layer in self.layers:
            limit = tokens if layer.window is None else layer.window - (not static)
            total += layer.per_token * min(tokens, limit) * item_bytes
            total += (layer.state - layer.state_fp32) * item_bytes + layer.state_fp32 * 4
        return round(total)

    @property
    def largest_per_token(self) -> int:
        """Numbers per token of the layer that keeps most."""
        return max((layer.per_token for layer in self.layers), default=0)


def cache_shape(config: Any) -> CacheShape:
    """From a configuration of transformers, of a whole model or of its text part."""
    from transformers.cache_utils import get_layer_types_and_kwargs

    text = config.get_text_config(decoder=True)
    kind = str(text.model_type)
    if kind in _WITHOUT_CACHE:
        return CacheShape(())
    if not hasattr(text, "num_attention_heads"):
        return _state_space(text)
    types, per_layer = get_layer_types_and_kwargs(text)
    heads = _per_layer_heads(text, len(types))
    layers = []
    unknown = sorted(set(types) - _KNOWN)
    for number, (layer_type, options) in enumerate(zip(types, per_layer, strict=True)):
        per_token = 0 if layer_type in _NO_TOKENS else heads[number]
        if layer_type == "indexed_attention":
            per_token += int(getattr(text, "index_head_dim", 0) or 0)
        state, fp32 = _state(text) if layer_type in _STATES else (0, 0)
        window = options.get("sliding_window") if layer_type in _WINDOWS else None
        layers.append(KeptLayer(per_token, window, state, fp32))
    reason = None
    if unknown:
        reason = f"layers of kind {', '.join(unknown)}"
    elif any(name in _STATES and not layer.state for layer, name in zip(layers, types, strict=True)):
        reason = _UNKNOWN_STATES
    elif kind in _OTHERWISE:
        reason = f"{kind} keeps {_OTHERWISE[kind]}"
    return CacheShape(tuple(layers), reason)


def _per_layer_heads(text: Any, layers: int) -> list[int]:
    """Numbers per token in the keys and values of each layer."""
    from transformers.configuration_utils import get_head_shapes

    rank = getattr(text, "kv_lora_rank", None)
    if rank:
        # Latent attention: the library keeps the compressed vector and the rotated part of the key.
        return [int(rank) + int(text.qk_rope_head_dim)] * layers
    heads, sizes = get_head_shapes(text)
    counts = heads if isinstance(heads, list) else [heads] * layers
    if getattr(text, "multi_query", False) and not getattr(text, "new_decoder_architecture", False):
        counts = [1] * layers
    elif getattr(text, "new_decoder_architecture", False):
        counts = [int(text.num_kv_heads)] * layers
    elif not _declares(text, "num_key_value_heads"):
        # A stray field in config.json groups nothing.
        counts = [int(text.num_attention_heads)] * layers
    widths = sizes if isinstance(sizes, list) else [sizes] * layers
    return [2 * count * width for count, width in zip(counts, widths, strict=True)]


def _state_space(text: Any) -> CacheShape:
    """A model without any attention."""
    state, fp32 = _state(text)
    layers = (KeptLayer(0, None, state, fp32),) * int(text.num_hidden_layers)
    return CacheShape(layers, None if state else _UNKNOWN_STATES)


def _state(text: Any) -> tuple[int, int]:
    """Numbers in the convolution's and the recurrent state of a layer, and those of them that are float32."""
    if _field(text, "linear_num_value_heads") and _field(text, "linear_key_head_dim"):
        return _gated_delta_state(text)
    size = _field(text, "mamba_d_state", "ssm_state_size", "state_size")
    kernel = _field(text, "mamba_d_conv", "conv_kernel", "conv_L_cache")
    if not size:
        return (int(text.hidden_size) * kernel, 0) if kernel else (0, 0)
    heads = _field(text, "mamba_n_heads", "mamba_num_heads", "n_mamba_heads", "num_heads")
    width = _field(text, "mamba_d_head", "mamba_head_dim", "mamba_headdim", "head_dim")
    if heads and width and _field(text, "mamba_n_groups", "n_groups", "mamba_ngroups"):
        groups = _field(text, "mamba_n_groups", "n_groups", "mamba_ngroups")
        inner = _field(text, "mamba_d_ssm") or heads * width
        return (inner + 2 * groups * size) * kernel + heads * width * size, 0
    inner = _field(text, "intermediate_size") if not _field(text, "mamba_expand") else 0
    inner = inner or int(text.hidden_size * text.mamba_expand)
    return inner * kernel + inner * size, 0


def _gated_delta_state(text: Any) -> tuple[int, int]:
    keys = int(text.linear_num_key_heads * text.linear_key_head_dim)
    values = int(text.linear_num_value_heads * text.linear_value_head_dim)
    kernel = _field(text, "linear_conv_kernel_dim")
    recurrent = values * int(text.linear_key_head_dim)
    return (2 * keys + values) * kernel + recurrent, recurrent


def _field(text: Any, *names: str) -> int:
    """The first of the fields that is a number; 0 where none is."""
    for name in names:
        value = getattr(text, name, None)
        if isinstance(value, int | float) and not isinstance(value, bool) and value:
            return int(value)
    return 0


def _declares(text: Any, name: str) -> bool:
    """Whether the configuration's class has that field; config.json may hold others."""
    return name in {field.name for field in fields(type(text))} or name in type(text).attribute_map

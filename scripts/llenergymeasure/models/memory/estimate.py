"""Peak memory of a generation, estimated before anything is loaded. Every figure is an estimate, not a measurement.

The model computes one batch at a time: it reads all prompts of the batch at once, then one token per sequence and
step. Weights and cache follow from files and formulas; what one pass needs beside them is fitted to peaks on an H100
and on a CPU (tests/models/memory).
"""

from __future__ import annotations

import inspect
import sys
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from llenergymeasure.models.memory.kv_cache import CacheShape, cache_shape

# Measured peaks were within this share of the estimate: 32 passes of six architectures on a processor (-17 to +18 %),
# and 16 on an H100 (-3 to +17 %).
TOTAL_SHARE = 0.2
# By this share may what a pass needs beside weights and cache be wrong.
WORKSPACE_SHARE = 0.5
# On a processor: Python, torch and their threads, in bytes; and by how much freed pieces of the heap and the packed
# copies of what is multiplied enlarge a pass, beside the scores of attention.
PROCESSOR_RUNTIME = 415_000_000
PROCESSOR_WORKSPACE = 2.5
# Where the formulas do not cover a model's cache, by this share may its size be wrong.
UNSURE_SHARE = 1.0


@dataclass(frozen=True)
class MemoryEstimate:
    """Bytes that one process needs at most, all of them estimated.

    weights: as they are in memory; cache: keys, values and states of all sequences at the end
    workspace: what the largest pass needs beside them; logits: scores of the next token
    runtime: of the process itself, 0 on a GPU, where the peak counts tensors alone
    low, high: where the truth may be; unsure: why they are far apart, None where the formulas cover the model
    """

    weights: int
    cache: int
    workspace: int
    logits: int
    runtime: int
    total: int
    low: int
    high: int
    unsure: str | None = None

    @property
    def least(self) -> int:
        """Weights and cache alone: a device with less cannot run it."""
        return self.weights + (0 if self.unsure else self.cache)


@dataclass(frozen=True)
class Work:
    """What is generated at once.

    sequences: of one batch, counted with its beams; prompt_tokens: of the longest prompt; new_tokens: of each
    item_bytes: of the model's number format; cache_bits: of a quantized cache, None where it is not quantized
    static: the cache is allocated whole at once; cached: there is a cache
    paged: the cache takes the memory that is free; on_processor: the peak is that of the process
    """

    sequences: int
    prompt_tokens: int
    new_tokens: int
    item_bytes: int
    attention: str = "sdpa"
    static: bool = False
    cached: bool = True
    cache_bits: int | None = None
    paged: bool = False
    on_processor: bool = False


def estimate_memory(model_config: Any, weight_bytes: int, work: Work) -> MemoryEstimate:
    """Peak memory of a model of transformers with that configuration.

    model_config: a `PreTrainedConfig`; weight_bytes: see `resident_bytes`
    """
    text = model_config.get_text_config(decoder=True)
    shape = cache_shape(model_config)
    whole = _cache_bytes(shape, work, max(work.prompt_tokens + work.new_tokens - 1, 1))
    logits = work.sequences * int(text.vocab_size) * (work.item_bytes + 4)
    workspace = _workspace(model_config, shape, work)
    if work.on_processor:
        without_scores = _workspace(model_config, shape, replace(work, attention="sdpa"))
        workspace = max(workspace, round(PROCESSOR_WORKSPACE * without_scores))
    runtime = PROCESSOR_RUNTIME if work.on_processor else 0
    unsure = "continuous batching takes the memory that is free for its cache" if work.paged else shape.unsure
    total = weight_bytes + whole + workspace + logits + runtime
    parts = WORKSPACE_SHARE * (workspace + logits) + (UNSURE_SHARE * whole if unsure else 0)
    wrong = round(max(parts, TOTAL_SHARE * total))
    return MemoryEstimate(
        weights=weight_bytes,
        cache=whole,
        workspace=workspace,
        logits=logits,
        runtime=runtime,
        total=total,
        low=max(total - wrong, weight_bytes),
        high=total + wrong,
        unsure=unsure,
    )


def _cache_bytes(shape: CacheShape, work: Work, tokens: int) -> int:
    item = work.item_bytes if work.cache_bits is None else _quantized_bytes(work.cache_bits)
    return work.sequences * shape.bytes(tokens, item, static=work.static) if work.cached else 0


def _workspace(model_config: Any, shape: CacheShape, work: Work) -> int:
    """What the larger of the two kinds of pass, over the prompts and over one token, needs beside the whole cache."""
    text = model_config.get_text_config(decoder=True)
    tokens = max(work.prompt_tokens + work.new_tokens - 1, 1)
    whole = _cache_bytes(shape, work, tokens)
    read = work.prompt_tokens if work.cached else tokens
    prefill = whole if work.static else _cache_bytes(shape, work, work.prompt_tokens)
    prefill += _pass_bytes(model_config, text, work, read, tokens if work.static else read)
    prefill += _vocabulary_bytes(model_config, text, work, read)
    # The cache of a layer is copied when it grows.
    copied = work.sequences * shape.largest_per_token * tokens * work.item_bytes
    decode = whole + _pass_bytes(model_config, text, work, 1, tokens) + copied
    return max(prefill - whole, decode - whole)


def _pass_bytes(model_config: Any, text: Any, work: Work, queries: int, keys: int) -> int:
    """What one pass over `queries` tokens per sequence holds beside weights and cache, in its largest layer."""
    hidden = int(text.hidden_size)
    heads = _number(text, "num_attention_heads", "n_head")
    attention = 4 * max(heads * _number(text, "head_dim"), hidden) * work.item_bytes
    tokens = work.sequences * queries
    if work.attention == "eager":
        attention += heads * keys * _score_bytes(model_config, work.item_bytes)
    mask = tokens * keys if queries > 1 else 0
    return tokens * (4 * hidden * work.item_bytes + max(3 * _inner_width(text) * work.item_bytes, attention)) + mask


def _score_bytes(model_config: Any, item_bytes: int) -> int:
    """Bytes per score in eager attention: the product and its masked copy, then the softmax.

    Most architectures compute the softmax in float32 and copy it to the number format.
    """
    kind = _model_class(model_config)
    eager = getattr(sys.modules.get(getattr(kind, "__module__", "")), "eager_attention_forward", None)
    in_format = eager is not None and "float32" not in inspect.getsource(eager)
    return 2 * item_bytes if in_format else 2 * item_bytes + 4 + (item_bytes if item_bytes < 4 else 0)


def _inner_width(text: Any) -> int:
    """Numbers per token in the widest part of a feed-forward layer; of experts, those that one token takes."""
    dense = _number(text, "intermediate_size", "ffn_dim", "n_inner", "ffn_hidden_size", "decoder_ffn_dim")
    taken = _number(text, "num_experts_per_tok", "num_experts_per_token", "moe_topk")
    width = _number(text, "moe_intermediate_size") or (dense if taken else 0)
    shared = _number(text, "shared_expert_intermediate_size") or width * _number(text, "n_shared_experts")
    return max(dense, taken * width + shared) or 4 * int(text.hidden_size)


def _vocabulary_bytes(model_config: Any, text: Any, work: Work, read: int) -> int:
    """Scores over the vocabulary for every token of the prompts, where the model's class computes them all."""
    if _scores_last_alone(model_config):
        return 0
    return work.sequences * read * int(text.vocab_size) * work.item_bytes


def _scores_last_alone(model_config: Any) -> bool:
    """Whether the class takes `logits_to_keep`, with which the library asks for the last token's scores alone."""
    kind = _model_class(model_config)
    return kind is None or _takes_logits_to_keep(kind)


@cache
def _takes_logits_to_keep(kind: type) -> bool:
    """Read once per class: a plan may have thousands of experiments of one model."""
    return "logits_to_keep" in inspect.signature(kind.forward).parameters  # type: ignore[attr-defined]


def _model_class(model_config: Any) -> Any | None:
    """The library's class for the configuration; None where it has none."""
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING

    return MODEL_FOR_CAUSAL_LM_MAPPING.get(type(model_config), None)


def _quantized_bytes(bits: int) -> float:
    """Per number of a quantized cache: its bits, and two numbers of 2 bytes per group of 64."""
    return bits / 8 + 4 / 64


def _number(text: Any, *names: str) -> int:
    for name in names:
        value = getattr(text, name, None)
        if isinstance(value, int) and not isinstance(value, bool) and value > 0:
            return value
    return 0

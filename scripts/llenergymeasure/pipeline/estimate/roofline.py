"""Seconds of one pass by the roofline model (Williams, Waterman, Patterson 2009): memory traffic, operations, Python.

A pass reads a batch of prompts at once, and then the weights and the cache again for each further token. Which of
bandwidth and arithmetic takes longer decides; what the library's Python takes per layer is added. Within a factor of 3
of most models; compilation, offloading and quantized kernels are not in it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from llenergymeasure.config import ExperimentConfig
from llenergymeasure.models.memory.experiment import weight_bytes
from llenergymeasure.models.memory.kv_cache import cache_shape
from llenergymeasure.models.memory.weights import ITEM_BYTES
from llenergymeasure.pipeline.estimate.hardware import Hardware
from llenergymeasure.pipeline.estimate.model_facts import ModelFacts, Tensors

# Layers of a model whose configuration is not here.
_USUAL_LAYERS = 32


@dataclass(frozen=True)
class PassTime:
    """Seconds of a whole pass over all prompts, and of one that ends after the first token."""

    whole_s: float
    prefill_s: float


def guess_pass(
    config: ExperimentConfig, facts: ModelFacts, hardware: Hardware, prompt_tokens: float
) -> PassTime | None:
    """None where the model's size or the device's speed is not known. prompt_tokens: of a prompt, on average"""
    flops = hardware.flops.get(config.precision)
    if facts.tensors is None or not hardware.bandwidth or not flops:
        return None
    processes = (config.pytorch.num_processes or 1) * (config.pytorch.tp_size or 1)
    rows = min(config.pytorch.batch_size or 1, config.n_prompts)
    batches = config.n_prompts / rows / processes
    rows *= config.pytorch.num_beams or 1
    share = _share_read(facts)
    numbers = share * _numbers(facts.tensors, config)
    traffic_s = share * weight_bytes(config, facts.tensors, quantized=_is_quantized(facts)) / hardware.bandwidth
    python_s = hardware.layer_s * (facts.layers or _USUAL_LAYERS)

    def read(tokens: float) -> float:
        """Seconds to read that many tokens of each row at once."""
        return max(traffic_s, 2 * numbers * rows * tokens / flops) + python_s

    further = config.max_output_tokens - 1
    mean_tokens = prompt_tokens + further / 2
    if config.pytorch.use_cache is False:
        step_s = read(mean_tokens)
    else:
        step_s = read(1) + rows * _cache_bytes(facts, config, mean_tokens) / hardware.bandwidth
    prefill_s = batches * read(prompt_tokens)
    return PassTime(prefill_s + batches * further * step_s, prefill_s)


def _numbers(tensors: Tensors, config: ExperimentConfig) -> float:
    """Weights of the model. Of files whose headers are not here, as many as fit with the study's number format."""
    item = ITEM_BYTES[config.precision]
    return sum(_size(entry) / (item if entry["dtype"] == "U8" else 1) for _, entry in tensors)


def _size(entry: Mapping[str, Any]) -> int:
    return math.prod(entry["shape"])


def _share_read(facts: ModelFacts) -> float:
    """Of the weights, those that one token passes through: of many experts only some."""
    if facts.config is None or facts.tensors is None:
        return 1.0
    text = facts.config.get_text_config(decoder=True)
    experts = next(
        (n for name in ("num_local_experts", "num_experts", "n_routed_experts") if (n := _int(text, name))), 0
    )
    taken = _int(text, "num_experts_per_tok")
    if not experts or not taken:
        return 1.0
    total = sum(_size(entry) for _, entry in facts.tensors)
    routed = sum(_size(entry) for name, entry in facts.tensors if ".experts" in name)
    return (total - routed * (1 - taken / experts)) / total


def _cache_bytes(facts: ModelFacts, config: ExperimentConfig, tokens: float) -> int:
    """Of one row; 0 where the configuration is not here."""
    if facts.config is None:
        return 0
    return cache_shape(facts.config).bytes(round(tokens), ITEM_BYTES[config.precision])


def _is_quantized(facts: ModelFacts) -> bool:
    return facts.config is not None and getattr(facts.config, "quantization_config", None) is not None


def _int(text: Any, name: str) -> int:
    value = getattr(text, name, None)
    return value if isinstance(value, int) else 0

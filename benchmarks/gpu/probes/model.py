"""A random Llama on the board, and passes over prompts of set lengths."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import torch

from benchmarks.gpu.scale import BOARD, REHEARSAL, Scale
from llenergymeasure.engine.devices import devices_holding
from llenergymeasure.engine.generation.batches import make_batches
from llenergymeasure.engine.generation.seeds import PassSeeds
from llenergymeasure.engine.generation.static_batching import StaticGenerator


def llama(scale: Scale) -> Any:
    """The model of this scale, made once per process."""
    return _made(scale.rehearsal)


@cache
def _made(rehearsal: bool) -> Any:
    from transformers import AutoConfig, AutoModelForCausalLM

    scale = REHEARSAL if rehearsal else BOARD
    torch.manual_seed(1)
    if rehearsal:
        torch.set_num_threads(1)
    config = AutoConfig.for_model("llama", **scale.model)
    with torch.device(scale.device):
        model = AutoModelForCausalLM.from_config(config, dtype=getattr(torch, scale.dtype), attn_implementation="sdpa")
    return model.eval()


def prompts(scale: Scale, lengths: Sequence[int]) -> list[list[int]]:
    """Token ids, one prompt per length."""
    words = scale.model["vocab_size"] - 10
    return [[7 + (row * 31 + place) % words for place in range(length)] for row, length in enumerate(lengths)]


def generator(scale: Scale, lengths: Sequence[int], new_tokens: int, **keywords: Any) -> StaticGenerator:
    """One batch of prompts with these lengths, each answered with exactly `new_tokens` greedy tokens."""
    model = llama(scale)
    device = next(model.parameters()).device
    settings = {"do_sample": False, "max_new_tokens": new_tokens, "pad_token_id": 0, "eos_token_id": None}
    return StaticGenerator(
        model=model,
        devices=devices_holding(model),
        batches=make_batches(prompts(scale, lengths), len(lengths), 0, device),
        keywords={**settings, **keywords},
        seeds=PassSeeds(1),
        max_new_tokens=new_tokens,
        eos_token_ids=frozenset(),
    )

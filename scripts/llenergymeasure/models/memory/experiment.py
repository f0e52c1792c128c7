"""What an experiment generates at once, and the memory that it needs for that."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from llenergymeasure.config import ExperimentConfig
from llenergymeasure.config.settings.pytorch import STATIC_CACHES
from llenergymeasure.models.memory.estimate import MemoryEstimate, Work, estimate_memory
from llenergymeasure.models.memory.weights import ITEM_BYTES, resident_bytes

# Bits per number of a matrix that bitsandbytes quantizes, with its scales: blocks of 64, and one per row.
FOUR_BITS, EIGHT_BITS = 4.5, 8.03
_DEFAULT_CACHE_BITS = 4


def read_model_config(folder: Path) -> Any | None:
    """The library's configuration of the model in a folder; None where its own code or the library cannot read it.

    No code of the model runs.
    """
    from transformers import AutoConfig

    try:
        return AutoConfig.from_pretrained(folder, trust_remote_code=False)
    except Exception:  # noqa: BLE001 - whatever it is, loading the model says it better
        return None


def work_in(config: ExperimentConfig, prompt_tokens: int, *, on_processor: bool) -> Work:
    """What one process generates at once. prompt_tokens: of the longest prompt, at most `max_input_tokens`"""
    pytorch = config.pytorch
    passed = config.passthrough_kwargs.generate
    cache = pytorch.cache_implementation
    bits = None
    if cache == "quantized":
        bits = int((passed.get("cache_config") or {}).get("nbits", _DEFAULT_CACHE_BITS))
    prompts = min(pytorch.batch_size or 1, config.n_prompts)
    return Work(
        sequences=prompts * (pytorch.num_beams or 1),
        prompt_tokens=min(prompt_tokens, config.max_input_tokens),
        new_tokens=config.max_output_tokens,
        item_bytes=ITEM_BYTES[config.precision],
        attention=pytorch.attn_implementation or "sdpa",
        static=cache in STATIC_CACHES,
        cached=pytorch.use_cache is not False,
        cache_bits=bits,
        paged=pytorch.batching == "continuous",
        on_processor=on_processor,
    )


def weight_bytes(config: ExperimentConfig, tensors: Iterable[tuple[str, Mapping[str, Any]]], *, quantized: bool) -> int:
    """Bytes of one copy of the weights. quantized: the files contain quantized weights already"""
    pytorch = config.pytorch
    bits = FOUR_BITS if pytorch.load_in_4bit else EIGHT_BITS if pytorch.load_in_8bit else None
    return resident_bytes(tensors, None if quantized else ITEM_BYTES[config.precision], bits)


def estimate_experiment(
    config: ExperimentConfig,
    model_config: Any,
    tensors: Iterable[tuple[str, Mapping[str, Any]]],
    *,
    on_processor: bool,
    prompt_tokens: int | None = None,
) -> MemoryEstimate:
    """The peak of one of the experiment's processes. All figures are estimated.

    model_config: see `read_model_config`; tensors: of the model's files, see `stored_tensors`
    prompt_tokens: of the longest prompt; None where it is not known: then `max_input_tokens`, the most it can be
    """
    text = model_config.get_text_config(decoder=True)
    quantized = any(getattr(item, "quantization_config", None) for item in (model_config, text))
    weights = weight_bytes(config, tensors, quantized=quantized)
    longest = config.max_input_tokens if prompt_tokens is None else prompt_tokens
    return estimate_memory(model_config, weights, work_in(config, longest, on_processor=on_processor))

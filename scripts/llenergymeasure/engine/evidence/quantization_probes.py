"""Probes of quantization: they count the bits of the weights in memory, at load and after the measured window."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Iterator, Mapping
from typing import Any

from llenergymeasure.engine.evidence.observe import Observation
from llenergymeasure.engine.evidence.registry import ProbeResult, probe
from llenergymeasure.engine.evidence.weight_verdict import (
    NOT_QUANTIZED,
    Wanted,
    bits_in_words,
    left_by_library,
    objections,
)
from llenergymeasure.engine.loading.quantized_width import quantized_width, skipped_layers
from llenergymeasure.engine.loading.quantizers import BITSANDBYTES, METHOD
from llenergymeasure.engine.loading.weight_storage import Architecture, layer_named, weight_storage


def quantized_modules(observation: Observation) -> set[int]:
    """The ids of the modules whose weights are quantized, or were when they were loaded."""
    layers = [*observation.loaded.storage_at_load, *observation.storage]
    named = (layer_named(observation.model, layer.name) for layer in layers if layer.code_bits < NOT_QUANTIZED)
    return {id(part) for layer in named if layer is not None for part in layer.modules()}


@probe("quantization_config")
def quantization_config(observation: Observation, requested: Any) -> ProbeResult:
    """Bits that each weight takes in memory, with and without scales, by class and types of the layers: when the model
    was loaded, and again after the measured window. The architecture without quantization says how many weights there
    are; every layer must have the method's width, except those that the study skips and the output head. The library's
    configuration must hold the study's values. With `dequantize` no layer may be quantized."""
    held = held_quantization(observation)
    observed = _both(observation)
    if requested is None:
        method = None if held is None else _plain(held.quant_method)
        return ProbeResult(method, observed, None)
    if requested.get("dequantize"):
        wrong = _still_quantized(observation)
    else:
        wrong = [*_lost(held, requested), *_wrong(observation, held)]
    observed = "; ".join([*wrong, observed])
    return ProbeResult(None if wrong else requested, observed, not wrong)


@probe("quantization")
def load_in_4bit(observation: Observation, requested: Any) -> ProbeResult:
    """Bits that each weight takes in memory, when loaded and after the window: 4 without scales, in layers of
    bitsandbytes."""
    return _bits(observation, requested, 4)


@probe("quantization_8bit")
def load_in_8bit(observation: Observation, requested: Any) -> ProbeResult:
    """Bits that each weight takes in memory, when loaded and after the window: 8 without scales, in layers of
    bitsandbytes."""
    return _bits(observation, requested, 8)


def _bits(observation: Observation, requested: Any, bits: int) -> ProbeResult:
    held = held_quantization(observation)
    observed = _both(observation)
    if observation.weights_from is not None:
        observed = f"{observed}; read from {observation.weights_from}"
    ours = held is not None and _plain(held.quant_method) == BITSANDBYTES and quantized_width(held) == bits
    wrong = _wrong(observation, held) if ours else []
    effective = ours and bool(_quantized_by_bitsandbytes(observation)) and not wrong
    return ProbeResult(effective, "; ".join([*wrong, observed]), effective == bool(requested))


def held_quantization(observation: Observation) -> Any | None:
    """The library's configuration object on the model; None where nothing is quantized."""
    quantizer = getattr(observation.model, "hf_quantizer", None)
    return None if quantizer is None else quantizer.quantization_config


def _both(observation: Observation) -> str:
    before, now = bits_in_words(observation.loaded.storage_at_load), bits_in_words(observation.storage)
    return f"weights in memory: {now}" if before == now else f"weights when loaded: {before}; now: {now}"


def _wrong(observation: Observation, held: Any | None) -> list[str]:
    """What is not as the held configuration says, at load and by now, each once."""
    if held is None:
        return ["the model has no quantizer"]
    names = observation.loaded.architecture.weights
    free = left_by_library(observation.model)
    if getattr(held, "llm_int8_enable_fp32_cpu_offload", False):
        places: Mapping[str, Any] = getattr(observation.model, "hf_device_map", None) or {}
        free += [module for module, place in places.items() if str(place) in ("cpu", "disk")]
    if observation.loaded.checkpoint_quantization is not None:
        # The checkpoint's files say which layers are quantized; what counts is that these stay so.
        free += [layer.name for layer in observation.loaded.storage_at_load if layer.code_bits >= NOT_QUANTIZED]
    wanted = Wanted(quantized_width(held), skipped_layers(held), free)
    moments = {"when loaded": observation.loaded.storage_at_load, "now": observation.storage}
    said: dict[str, str] = {}
    for moment, layers in moments.items():
        for words in objections(wanted, layers, names):
            said.setdefault(words, f"{moment}, {words}")
    plain = [layer.code_bits >= NOT_QUANTIZED for layer in observation.loaded.storage_at_load]
    if observation.loaded.checkpoint_quantization is None and all(plain) and not said:
        return ["no layer is quantized"]
    return [*said.values(), *_embeddings_left(observation.model, held)]


def _embeddings_left(model: Any, held: Any) -> list[str]:
    """The embeddings that torchao was asked to quantize too and left as they are, in words.

    transformers hands it the input embeddings, which its configurations skip without a word, and no tied ones.
    """
    if not getattr(held, "include_input_output_embeddings", False):
        return []
    both = {id(model.get_input_embeddings()), id(model.get_output_embeddings())}
    sizes = {name: part.weight.shape.numel() for name, part in model.named_modules() if id(part) in both}
    plain = [layer.name for layer in weight_storage(model, Architecture(sizes, 0)) if layer.code_bits >= NOT_QUANTIZED]
    asked = "are not quantized, which include_input_output_embeddings asks for"
    return [f"the embeddings {', '.join(plain)} {asked}"] if plain else []


def _still_quantized(observation: Observation) -> list[str]:
    """What speaks against weights that are dequantized: the library has then forgotten all about the quantization."""
    layers = [*observation.loaded.storage_at_load, *observation.storage]
    narrow = {layer.name: layer for layer in layers if layer.code_bits < NOT_QUANTIZED}
    return [f"{len(narrow)} layers are still quantized"] if narrow else []


def _lost(held: Any | None, requested: Mapping[str, Any]) -> Iterator[str]:
    """The study's values that the library's object does not hold."""
    if held is None:
        return
    for key, value in requested.items():
        kept = _held_value(held, key)
        # The library knows bitsandbytes by two more names, which say the width.
        method = key == METHOD and value.startswith(_plain(kept))
        if not method and not _same(value, kept):
            yield f"{key} is {_plain(kept)}, not {value}"


def _held_value(held: Any, key: str) -> Any:
    """A value of the configuration, or of the torchao configuration inside it."""
    inner = getattr(held, "quant_type", None)
    if key == "quant_type":
        return type(inner).__name__
    return getattr(held, key, None) if hasattr(held, key) else getattr(inner, key, None)


def _same(value: Any, kept: Any) -> bool:
    if isinstance(kept, enum.Enum):
        return value in (kept.value, kept.name, kept.name.lower())
    if dataclasses.is_dataclass(kept) and not isinstance(kept, type):
        options = {"type": type(kept).__name__, **(value if isinstance(value, Mapping) else {"type": value})}
        return options["type"] == type(kept).__name__ and all(
            _same(item, getattr(kept, name)) for name, item in options.items() if name != "type"
        )
    return bool(_plain(kept) == value)


def _plain(value: Any) -> Any:
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, tuple):
        return list(value)
    return str(value).removeprefix("torch.") if type(value).__module__ == "torch" else value


def _quantized_by_bitsandbytes(observation: Observation) -> list[Any]:
    """The layers of bitsandbytes, not the adapters around them."""
    layers = [layer_named(observation.model, name) for name in observation.loaded.architecture.weights]
    return [layer for layer in layers if type(layer).__module__.startswith(BITSANDBYTES)]


def _quant_states(observation: Observation) -> list[Any]:
    states = [getattr(layer.weight, "quant_state", None) for layer in _quantized_by_bitsandbytes(observation)]
    return [state for state in states if state is not None]


_KERNEL = "the bfloat16 kernel of this processor (AVX-512 BF16)"


@probe("quant_type")
def quant_type(observation: Observation, requested: Any) -> ProbeResult:
    """The 4-bit code book in the quantization state of each layer."""
    types = sorted({state.quant_type for state in _quant_states(observation)})
    return _single(types, requested, "quantization states")


@probe("quant_double")
def quant_double(observation: Observation, requested: Any) -> ProbeResult:
    """Whether the scales are quantized a second time (nested state)."""
    flags = sorted({bool(state.nested) for state in _quant_states(observation)})
    undone = any(getattr(state, "original_nested", False) for state in _repacked(observation))
    why = f" after the first pass, in which bitsandbytes undid it for {_KERNEL}" if undone else ""
    return _single(flags, requested, f"nested flag of the quantization states{why}")


@probe("quant_compute_dtype")
def quant_compute_dtype(observation: Observation, requested: Any) -> ProbeResult:
    """The dtype in which 4-bit layers multiply: what they say, or what the processor's own kernel does instead."""
    if _repacked(observation):
        return ProbeResult(
            "bfloat16", f"weights were repacked for {_KERNEL}, which knows no other", requested == "bfloat16"
        )
    layers = [layer for layer in _quantized_by_bitsandbytes(observation) if hasattr(layer, "compute_dtype")]
    dtypes = sorted({str(layer.compute_dtype).removeprefix("torch.") for layer in layers})
    return _single(dtypes, requested, "compute_dtype of the 4-bit layers")


def _repacked(observation: Observation) -> list[Any]:
    """Quantization states that bitsandbytes changed, in the first forward pass, for a kernel of the processor."""
    return [state for state in _quant_states(observation) if getattr(state, "packing_format_for_cpu", False)]


def _single(values: list[Any], requested: Any, what: str) -> ProbeResult:
    effective = values[0] if len(values) == 1 else (values or None)
    return ProbeResult(effective, f"{what}: {values or 'none'}", effective == requested)

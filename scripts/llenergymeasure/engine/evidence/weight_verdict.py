"""Whether the layers of a model store their weights as a quantization asks, by the bits that were counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from transformers.quantizers.base import get_keys_to_not_convert
from transformers.quantizers.quantizers_utils import should_convert_module

from llenergymeasure.config.problems.text import counted, first_few
from llenergymeasure.engine.loading.weight_storage import LayerStorage

# Weights of 16 or 32 bits are not quantized.
NOT_QUANTIZED = 12
# Scales and zero points per weight, in bits: one of 32 bits for 32 weights, and a bit more.
SCALES = 1.3
# Code books and second scales have the same size in a layer of any size.
TABLES_BYTES = 4096
# Rows are padded to whole blocks.
PADDING = 1.05


@dataclass(frozen=True)
class Wanted:
    """bits: of a weight without its scales; None where the library does not say, and any width below 12 will do

    skipped: patterns of the layers that the study leaves as they are
    free: patterns of the layers that the library may leave as they are: output head, tied weights, float32 parts
    """

    bits: float | None
    skipped: Sequence[str] = ()
    free: Collection[str] = ()


def objections(wanted: Wanted, layers: Sequence[LayerStorage], names: Collection[str]) -> list[str]:
    """What is not as wanted, in words; empty where every layer is.

    names: of all layers with weights in the architecture
    """
    wrong: dict[str, list[LayerStorage]] = {}
    for layer in layers:
        reason = _objection(wanted, layer)
        if reason is not None:
            wrong.setdefault(reason, []).append(layer)
    total = sum(layer.weights for layer in layers) or 1
    said = [
        f"{counted(len(group), 'layer')} with {sum(layer.weights for layer in group) / total:.0%} of the weights "
        f"{reason} ({first_few([layer.name for layer in group], 2)})"
        for reason, group in wrong.items()
    ]
    lost = sorted(set(names) - {layer.name for layer in layers})
    if lost:
        said.append(f"{counted(len(lost), 'layer')} of the architecture cannot be found ({first_few(lost, 2)})")
    return said


def _objection(wanted: Wanted, layer: LayerStorage) -> str | None:
    quantized = layer.code_bits < NOT_QUANTIZED
    if _matches(layer.name, wanted.skipped):
        return "are quantized although the study skips them" if quantized else None
    if not quantized:
        return None if _matches(layer.name, wanted.free) else f"stay at {layer.code_bits:.3g} bits"
    bits = wanted.bits
    if bits is None:
        return None
    if not bits / PADDING <= layer.code_bits <= bits * PADDING:
        return f"have codes of {layer.code_bits:.3g} bits"
    # Values of 4 bits may be kept in bytes of their own: the code bits say one, the stored bits the other.
    container = 8 if "Unpacked" in layer.weight_class else bits
    most = container + SCALES + 8 * TABLES_BYTES / layer.weights
    if not bits / PADDING <= layer.stored_bits <= most:
        return f"store {layer.stored_bits:.3g} bits per weight"
    return None


def _matches(name: str, patterns: Collection[str]) -> bool:
    return bool(patterns) and not should_convert_module(name, list(patterns))


def left_by_library(model: Any) -> list[str]:
    """Patterns of the layers that transformers leaves as they are unasked."""
    return [*get_keys_to_not_convert(model), *(getattr(model, "_keep_in_fp32_modules", None) or ())]


def bits_in_words(layers: Sequence[LayerStorage]) -> str:
    """For example `14 × Linear4bit(Params4bit): 4 code bits, 4.53 stored bits per weight in uint8, float32`."""
    return "; ".join(
        f"{group.layers} × {group.layer_class}({group.weight_class}): {group.code_bits:.3g} code bits, "
        f"{group.stored_bits:.3g} stored bits per weight in {', '.join(group.dtypes)}"
        for group in groups(layers)
    )


@dataclass(frozen=True)
class WeightGroup:
    """Layers of one class that store their weights alike. stored_bits: mean over their weights"""

    layers: int
    weights: int
    layer_class: str
    weight_class: str
    dtypes: tuple[str, ...]
    code_bits: float
    stored_bits: float


def groups(layers: Sequence[LayerStorage]) -> Iterator[WeightGroup]:
    """The layers by class, types and code bits, those with most weights first."""
    keyed: dict[Any, list[LayerStorage]] = {}
    for layer in layers:
        key = (layer.layer_class, layer.weight_class, layer.dtypes, round(layer.code_bits, 2))
        keyed.setdefault(key, []).append(layer)
    sizes = Counter({key: sum(layer.weights for layer in members) for key, members in keyed.items()})
    for key, weights in sizes.most_common():
        members = keyed[key]
        stored = sum(layer.stored_bits * layer.weights for layer in members) / weights
        layer_class, weight_class, dtypes, code_bits = key
        yield WeightGroup(len(members), weights, layer_class, weight_class, dtypes, code_bits, stored)

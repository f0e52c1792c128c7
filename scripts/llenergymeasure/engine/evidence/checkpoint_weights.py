"""What became of a checkpoint's own quantization: kept, undone while loading, or undone in the first forward pass."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from llenergymeasure.engine.evidence.weight_verdict import NOT_QUANTIZED, bits_in_words
from llenergymeasure.records.finding import warning

if TYPE_CHECKING:
    from llenergymeasure.engine.evidence.observe import Observation
    from llenergymeasure.engine.loading.weight_storage import LayerStorage

ENTRY = "config.json: quantization_config"


def quantization_evidence(observation: Observation) -> Iterator[tuple[str, dict[str, Any]]]:
    """An entry for the quantization of the checkpoint; nothing for a checkpoint that is not quantized."""
    quantization = observation.loaded.checkpoint_quantization
    if quantization is None:
        return
    state = _undone(observation)
    before, now = bits_in_words(observation.loaded.storage_at_load), bits_in_words(observation.storage)
    yield (
        ENTRY,
        {
            "requested": None,
            "effective": quantization.method if state is None else f"{quantization.method}, {state}",
            "observed": f"set by the model's config.json: {quantization.method}; when loaded: {before}; now: {now}",
            "verdict": "default",
        },
    )


def checkpoint_warnings(observation: Observation) -> list[dict[str, str]]:
    """A warning where the checkpoint's quantization was undone unasked."""
    quantization = observation.loaded.checkpoint_quantization
    state = _undone(observation)
    if quantization is None or state is None or _asked(observation):
        return []
    if state == DEQUANTIZED:
        message = (
            f"the checkpoint is quantized with {quantization.method}, and transformers dequantized it while loading: "
            "this machine has no device or package for that method; time, memory and energy are those of the "
            "dequantized model"
        )
        return [warning("checkpoint-dequantized", message)]
    before, now = _stored(observation.loaded.storage_at_load), _stored(observation.storage)
    message = (
        f"the checkpoint is quantized with {quantization.method}, which unpacked its weights in the first forward "
        f"pass: from {before:.3g} to {now:.3g} stored bits per weight; time, memory and energy are those of the "
        "unpacked model"
    )
    return [warning("checkpoint-decompressed", message)]


DEQUANTIZED = "dequantized"


def _undone(observation: Observation) -> str | None:
    if not _quantized(observation.loaded.storage_at_load):
        return DEQUANTIZED
    if len(_quantized(observation.storage)) < len(_quantized(observation.loaded.storage_at_load)):
        return "decompressed in the first forward pass"
    return None


def _quantized(layers: Sequence[LayerStorage]) -> list[LayerStorage]:
    return [layer for layer in layers if layer.code_bits < NOT_QUANTIZED]


def _stored(layers: Sequence[LayerStorage]) -> float:
    weights = sum(layer.weights for layer in layers)
    return sum(layer.stored_bits * layer.weights for layer in layers) / weights


def _asked(observation: Observation) -> bool:
    """Whether the study asks for the weights without their quantization."""
    return bool(getattr(observation.loaded.load_keywords.get("quantization_config"), "dequantize", False))

"""The quantization of a checkpoint, and whether the library ran it, undid it or does not know it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import transformers
from transformers.quantizers.auto import AutoHfQuantizer

from llenergymeasure.engine.failure import ExperimentFailure
from llenergymeasure.records.finding import warning


@dataclass(frozen=True)
class CheckpointQuantization:
    """method: the name in config.json; dequantized: the weights were turned back into floating-point numbers."""

    method: str
    dequantized: bool


def declared_method(config: Any) -> str | None:
    """The quantization method in a model's config.json; None for weights that are not quantized.

    ExperimentFailure for a method that transformers does not know: the library would skip it with a line in the log,
    and run a model of other weights.
    """
    for owner in (config, config.get_text_config(decoder=True)):
        declared = getattr(owner, "quantization_config", None)
        if declared is not None:
            break
    else:
        return None
    declared = declared if isinstance(declared, dict) else declared.to_dict()
    method = declared.get("quant_method")
    if method is None and (declared.get("load_in_4bit") or declared.get("load_in_8bit")):
        # Files from before methods had names.
        method = "bitsandbytes"
    if method is None or not AutoHfQuantizer.supports_quant_method(declared):
        raise ExperimentFailure(
            "load",
            "UnknownQuantization",
            f"the model's config.json has quantization_config.quant_method: {method or 'none'}, which transformers "
            f"{transformers.__version__} does not know and would skip; use a checkpoint with a method that it knows, "
            "or one that is not quantized",
        )
    return str(getattr(method, "value", method))


def after_load(method: str | None, model: Any) -> CheckpointQuantization | None:
    """What the library did with the declared method: it removes its quantizer from a model that it dequantized."""
    if method is None:
        return None
    quantizer = getattr(model, "hf_quantizer", None)
    undone = quantizer is None or bool(getattr(quantizer.quantization_config, "dequantize", False))
    return CheckpointQuantization(method, dequantized=undone)


def undone(quantization: CheckpointQuantization | None) -> list[dict[str, str]]:
    """A warning where the checkpoint's quantization was undone."""
    if quantization is None or not quantization.dequantized:
        return []
    message = (
        f"the checkpoint is quantized with {quantization.method}, and transformers dequantized it while loading: this "
        "machine has no device for that method, or the study asks for it; time, memory and energy are those of the "
        "dequantized model"
    )
    return [warning("checkpoint-dequantized", message)]

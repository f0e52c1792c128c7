"""Checkpoints that are quantized already: recognised by their config.json, and refused beside another quantization."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import transformers
from transformers.quantizers.auto import AutoHfQuantizer

from llenergymeasure.config.problems.text import show
from llenergymeasure.engine.failure import ExperimentFailure
from llenergymeasure.engine.loading.quantizers import BITSANDBYTES, METHOD, loading_keys, needs_checkpoint


@dataclass(frozen=True)
class CheckpointQuantization:
    """method: the name in config.json; settings: everything that is declared there"""

    method: str
    settings: Mapping[str, Any]


class UnknownQuantization(ValueError):
    """A method in config.json that transformers does not know: it would skip it with a line in its log."""


def quantization_in(config: Mapping[str, Any]) -> CheckpointQuantization | None:
    """The quantization that the fields of a config.json declare, those of its text model included.

    None for weights that are not quantized. UnknownQuantization for a method that transformers does not know.
    """
    parts = [config, *(config.get(name) for name in ("text_config", "decoder", "llm_config", "language_config"))]
    for part in parts:
        declared = part.get("quantization_config") if isinstance(part, Mapping) else None
        if declared:
            return _recognised(declared)
    return None


def _recognised(declared: Any) -> CheckpointQuantization:
    settings = dict(declared) if isinstance(declared, Mapping) else declared.to_dict()
    method = settings.get(METHOD)
    method = str(getattr(method, "value", method)) if method else None
    if method is None and (settings.get("load_in_4bit") or settings.get("load_in_8bit")):
        # Files from before methods had names.
        method = BITSANDBYTES
    if method is None or not AutoHfQuantizer.supports_quant_method(settings):
        raise UnknownQuantization(
            f"the model's config.json has quantization_config.quant_method: {method or 'none'}, which transformers "
            f"{transformers.__version__} does not know and would skip; use a checkpoint with a method that it knows, "
            "or one that is not quantized"
        )
    return CheckpointQuantization(method, settings)


def declared_quantization(config: Any) -> CheckpointQuantization | None:
    """`quantization_in` of the library's configuration object. ExperimentFailure for a method that it does not know."""
    parts = {"text_config": vars(config.get_text_config(decoder=True))}
    try:
        return quantization_in({**parts, **vars(config)})
    except UnknownQuantization as error:
        raise ExperimentFailure("load", "UnknownQuantization", str(error)) from error


def not_for_checkpoint(
    declared: CheckpointQuantization | None, asked: Mapping[str, Any], quantization: Any
) -> str | None:
    """Why a study may not ask for a quantization of this checkpoint; None where it may, or only says how to load it.

    declared: None for a checkpoint that is not quantized
    asked: quant_method and keys as the study writes them; quantization: the library's object for them

    The library raises for another method. For the same one it ignores the study's values with a warning.
    """
    method = str(asked[METHOD])
    if declared is None:
        only = f"{method} only reads checkpoints that are quantized with it, and this one is not quantized"
        return only if needs_checkpoint(method) else None
    # bitsandbytes has two more names, which say the width.
    if not method.startswith(declared.method):
        return f"asks for {method}, and the checkpoint is quantized with {declared.method} already"
    readable = set(loading_keys(quantization))
    for key, value in asked.items():
        if key != METHOD and key not in readable and declared.settings.get(key) != value:
            return (
                f"sets {key} to {show(value)}, and the checkpoint, quantized with {method} already, has "
                f"{show(declared.settings.get(key))}, which the library keeps"
            )
    return None

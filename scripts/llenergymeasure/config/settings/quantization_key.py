"""Which loads can read weights that were quantized once, and which of them share those weights.

Quantized weights depend on the model, its number format, the quantization and what else `from_pretrained` is given;
not on the attention that is computed with them, on what is laid over them, or on how the model is compiled.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llenergymeasure.config.settings.experiment import ExperimentSettings
from llenergymeasure.config.settings.hashes import ID_DIGITS, hash_of_settings
from llenergymeasure.config.settings.registry import parameters
from llenergymeasure.config.settings.setting_paths import PASSTHROUGH, flatten, nest
from llenergymeasure.config.settings.sources import sources_of

_TARGETS = ("from_pretrained", "bitsandbytes")
_WITHOUT_EFFECT = {"pytorch.attn_implementation"}
# Not the weights, but the room to make them in.
_ROOM = {"pytorch.devices"}


def is_quantized(config: ExperimentSettings) -> bool:
    """Whether bitsandbytes quantizes the weights of this load."""
    return bool(config.pytorch.load_in_4bit or config.pytorch.load_in_8bit)


def why_not_kept(config: ExperimentSettings) -> str | None:
    """Why each process has to quantize for itself; None where the weights can be kept."""
    if (config.pytorch.tp_size or 1) > 1:
        return "each process of pytorch.tp_size quantizes its own part of every weight"
    if config.passthrough_kwargs.bitsandbytes.get("llm_int8_enable_fp32_cpu_offload"):
        return "with llm_int8_enable_fp32_cpu_offload it depends on the devices which layers stay unquantized"
    return None


def quantizing_intent(load_config: Mapping[str, Any]) -> dict[str, Any] | None:
    """The settings that decide on a load's quantized weights, as an experiment with everything else at its default.

    Equal for loads that share the weights; None where nothing is quantized or the result can't be kept.
    load_config: nested settings, as in plan.json
    """
    if not (load_config["pytorch"].get("load_in_4bit") or load_config["pytorch"].get("load_in_8bit")):
        return None  # most loads: nothing to validate
    config = ExperimentSettings.model_validate(load_config)
    if why_not_kept(config) is not None:
        return None
    declared = {path for path, item in parameters().items() if item.target in _TARGETS} - _WITHOUT_EFFECT | _ROOM
    passed = tuple(f"{PASSTHROUGH}.{target}." for target in _TARGETS)
    flat = {path: value for path, value in flatten(config).items() if path in declared or path.startswith(passed)}
    # Joules are gross here: a baseline would take longer than to quantize most models.
    intent = nest({**flat, "model": config.model, "baseline.enabled": False})
    return ExperimentSettings.model_validate(intent).model_dump(mode="json")


def quantized_key(load_config: Mapping[str, Any]) -> str | None:
    """Folder name of a load's quantized weights: that of its model's snapshot, and a hash of their settings."""
    intent = quantizing_intent(load_config)
    if intent is None:
        return None
    (model,) = (source for source in sources_of(intent) if source.role == "model")
    recipe = hash_of_settings(flatten(ExperimentSettings.model_validate(intent)))[:ID_DIGITS]
    return f"{model.key}.quantized-{recipe}"

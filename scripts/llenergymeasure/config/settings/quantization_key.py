"""Which model setups can read weights that were quantized once, and which of them share those weights.

Quantized weights depend on the model, its number format, the quantization and the other keywords of
`from_pretrained`. They do not depend on the attention kernel, on an adapter, or on compilation.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llenergymeasure.config.settings.experiment import ExperimentSettings
from llenergymeasure.config.settings.hashes import ID_DIGITS, hash_of_settings
from llenergymeasure.config.settings.registry import parameters
from llenergymeasure.config.settings.setting_paths import PASSTHROUGH, flatten, nest
from llenergymeasure.config.settings.sources import sources_from_intent

_TARGETS = ("from_pretrained", "bitsandbytes")
_WITHOUT_EFFECT = {"pytorch.attn_implementation"}
# It does not change the weights, but quantizing needs the room.
_ROOM = {"pytorch.devices"}


def is_quantized(config: ExperimentSettings) -> bool:
    """Whether the study asks for a quantization of the weights."""
    pytorch = config.pytorch
    return bool(pytorch.load_in_4bit or pytorch.load_in_8bit or pytorch.quantization_config)


def why_not_kept(config: ExperimentSettings) -> str | None:
    """Why each process must quantize for itself; None where the weights can be kept."""
    if config.pytorch.quantization_config is not None:
        return "only weights that pytorch.load_in_4bit or pytorch.load_in_8bit quantize are kept"
    if (config.pytorch.tp_size or 1) > 1:
        return "each process of pytorch.tp_size quantizes its own part of every weight"
    if config.passthrough_kwargs.bitsandbytes.get("llm_int8_enable_fp32_cpu_offload"):
        return "with llm_int8_enable_fp32_cpu_offload the devices decide which layers stay unquantized"
    return None


def quantizing_intent(setup_config: Mapping[str, Any]) -> dict[str, Any] | None:
    """The settings that decide the quantized weights of a setup, as an experiment with all else at its default.

    Equal for setups that share the weights; None where nothing is quantized or the result cannot be kept.
    setup_config: nested settings, as in plan.json
    """
    if not (setup_config["pytorch"].get("load_in_4bit") or setup_config["pytorch"].get("load_in_8bit")):
        return None  # most setups: nothing to validate
    config = ExperimentSettings.model_validate(setup_config)
    if why_not_kept(config) is not None:
        return None
    declared = {path for path, item in parameters().items() if item.target in _TARGETS} - _WITHOUT_EFFECT | _ROOM
    passed = tuple(f"{PASSTHROUGH}.{target}." for target in _TARGETS)
    flat = {path: value for path, value in flatten(config).items() if path in declared or path.startswith(passed)}
    # The joules are gross: a baseline would take longer than quantizing most models.
    intent = nest({**flat, "model": config.model, "baseline.enabled": False})
    return ExperimentSettings.model_validate(intent).model_dump(mode="json")


def quantized_key(setup_config: Mapping[str, Any]) -> str | None:
    """Folder name of the quantized weights of a setup: that of the model's snapshot, and a hash of their settings."""
    intent = quantizing_intent(setup_config)
    if intent is None:
        return None
    (model,) = (source for source in sources_from_intent(intent) if source.role == "model")
    recipe = hash_of_settings(flatten(ExperimentSettings.model_validate(intent)))[:ID_DIGITS]
    return f"{model.key}.quantized-{recipe}"

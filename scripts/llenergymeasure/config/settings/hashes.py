"""Ids of intent: the same settings give the same id on every machine, in any order of keys.

A value of None hashes like a missing key, so a setting that a later version adds changes no id.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import cache
from typing import Any

from llenergymeasure.config.settings.experiment import ExperimentSettings
from llenergymeasure.config.settings.registry import parameters
from llenergymeasure.config.settings.setting_paths import PASSTHROUGH, flatten, leaves

ID_DIGITS = 12
_PASSED = tuple(f"{PASSTHROUGH}.{target}." for target in ("from_pretrained", "bitsandbytes", "compile"))


def compute_config_hash(config: ExperimentSettings) -> str:
    """SHA-256, 64 hexadecimal digits, of an experiment's whole intent.

    `decoder.preset` is not part of it: a preset and the values it stands for are the same experiment.
    """
    return config_hash_from_settings(flatten(config))


def compute_setup_hash(config: ExperimentSettings) -> str:
    """SHA-256, 64 hexadecimal digits, of what experiments in one process have in common: model, loading, meters."""
    return setup_hash_from_settings(flatten(config))


def config_hash_from_settings(settings: Mapping[str, Any]) -> str:
    """`compute_config_hash` of a flattened experiment."""
    return hash_of_settings({path: value for path, value in settings.items() if path != "decoder.preset"})


def setup_hash_from_settings(settings: Mapping[str, Any]) -> str:
    """`compute_setup_hash` of a flattened experiment."""
    passed = {path: settings[path] for path in _open_paths(settings) if path.startswith(_PASSED)}
    return hash_of_settings({path: settings[path] for path in _setup_paths()} | passed)


def hash_of_settings(flat: Mapping[str, Any]) -> str:
    """SHA-256 over canonical JSON: sorted keys, no spaces, UTF-8, without settings that are None.

    A None below `passthrough_kwargs` is a value that is passed to the library, so it stays.
    """
    kept = {path: _text_keys(value) for path, value in flat.items() if value is not None}
    kept |= {path: flat[path] for path in _open_paths(flat) if flat[path] is None}
    text = json.dumps(kept, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


@cache
def _setup_paths() -> frozenset[str]:
    declared = (path for path, item in parameters().items() if item.level == "setup")
    # A process opens its meters and measures its idle baseline once, so its experiments must agree on them.
    per_process = (path for path in leaves() if path.startswith(("energy.", "baseline.")))
    return frozenset({"model", *declared, *per_process})


def _open_paths(flat: Mapping[str, Any]) -> list[str]:
    """The paths below `passthrough_kwargs`. They are few or none, so the search must be cheap for every experiment."""
    return [path for path in flat.keys() - leaves().keys() if path.startswith(f"{PASSTHROUGH}.")]


def _text_keys(value: Any) -> Any:
    """JSON has only text keys; 0 and "0" in a device map are the same device."""
    if isinstance(value, str | int | float):
        return value
    if isinstance(value, Mapping):
        return {str(key): _text_keys(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_text_keys(inner) for inner in value]
    return value

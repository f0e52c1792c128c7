"""Ids of intent: the same settings give the same id on every machine, in any order of keys.

What is None and what is not there hash alike, so a setting added in a later version changes no id.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import cache
from typing import Any

from llenergymeasure.config.experiment import ExperimentConfig
from llenergymeasure.config.parameters import parameters
from llenergymeasure.config.paths import PASSTHROUGH, flatten, leaves

ID_DIGITS = 12
_LOAD_TARGETS = ("from_pretrained", "bitsandbytes", "compile")


def compute_config_hash(config: ExperimentConfig) -> str:
    """SHA-256, 64 hexadecimal digits, of an experiment's whole intent.

    `decoder.preset` is left out: a preset and the values it stands for are the same experiment.
    """
    return hash_of_settings({path: value for path, value in flatten(config).items() if path != "decoder.preset"})


def compute_load_hash(config: ExperimentConfig) -> str:
    """SHA-256, 64 hexadecimal digits, of what experiments that share a process agree on: model, load, meters."""
    load_paths = _load_paths()
    passed = tuple(f"{PASSTHROUGH}.{target}." for target in _LOAD_TARGETS)
    return hash_of_settings(
        {path: value for path, value in flatten(config).items() if path in load_paths or path.startswith(passed)}
    )


def hash_of_settings(flat: Mapping[str, Any]) -> str:
    """SHA-256 over canonical JSON: sorted keys, no spaces, UTF-8, settings that are None left out.

    A None below `passthrough_kwargs` is a value that is handed to the library, so it stays.
    """
    kept = {
        path: _text_keys(value)
        for path, value in flat.items()
        if value is not None or path.startswith(f"{PASSTHROUGH}.")
    }
    text = json.dumps(kept, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


@cache
def _load_paths() -> frozenset[str]:
    declared = (path for path, item in parameters().items() if item.level == "load")
    # Meters are opened, and the idle baseline is taken, once in a process: experiments that share one agree on them.
    per_process = (path for path in leaves() if path.startswith(("energy.", "baseline.")))
    return frozenset({"model", *declared, *per_process})


def _text_keys(value: Any) -> Any:
    """JSON has text keys only; a device map's 0 and "0" are the same device."""
    if isinstance(value, Mapping):
        return {str(key): _text_keys(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_text_keys(inner) for inner in value]
    return value

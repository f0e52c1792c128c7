"""Values of `--config`. Snakemake reads a nested one as mappings and lists of text; here that text is read as YAML."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from typing import Any

import yaml

from llenergymeasure.config.study.study_file import StudyLoader

_SCALARS = frozenset(f"tag:yaml.org,2002:{name}" for name in ("null", "bool", "int", "float"))


def read_nested_values(config: MutableMapping[str, Any], given: Mapping[str, Any]) -> None:
    """Put the values that `--config` gave, `given`, into the merged configuration as a study file would have them."""
    for key, value in given.items():
        if isinstance(value, Mapping) and isinstance(config.get(key), MutableMapping):
            read_nested_values(config[key], value)
        else:
            config[key] = _from_text(value)


def _from_text(value: Any) -> Any:
    """As YAML reads it without quotes: `3` is a number; `"3"`, with quotes inside, is text."""
    if isinstance(value, Mapping):
        return {key: _from_text(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_from_text(inner) for inner in value]
    if not isinstance(value, str):
        return value
    if len(value) > 1 and value[0] == value[-1] and value[0] in "'\"":
        return value[1:-1]
    loader = StudyLoader("")
    tag = loader.resolve(yaml.ScalarNode, value, (True, False))
    return loader.construct_object(yaml.ScalarNode(tag, value)) if tag in _SCALARS else value

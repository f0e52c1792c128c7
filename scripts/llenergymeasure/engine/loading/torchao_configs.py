"""How a study writes torchao's configurations: the name of a class, and its arguments as plain YAML.

Only classes of torchao's own that describe a quantization can be named; nothing is imported by a name from the study.
"""

from __future__ import annotations

import dataclasses
import enum
import typing
from collections.abc import Collection, Mapping
from typing import Any

import torch
from pydantic import ConfigDict, TypeAdapter, ValidationError
from transformers import TorchAoConfig

from llenergymeasure.config.problems.text import did_you_mean, show
from llenergymeasure.engine.failure import KeyRefused

TYPE = "quant_type"


def torchao_config(options: Mapping[str, Any], own_keys: Collection[str]) -> TorchAoConfig:
    """own_keys: those of transformers' TorchAoConfig; the others are arguments of the named class.

    Raises:
        KeyRefused: torchao has no such class, the class no such argument, or the argument another type
        ImportError: torchao is not installed
    """
    import torchao.quantization as torchao
    from torchao.core.config import AOBaseConfig

    # Configurations per layer hold other configurations, which plain YAML cannot name.
    kinds = {
        name: kind
        for name, kind in _classes(torchao, AOBaseConfig).items()
        if "fqn_to_config" not in kind.__dataclass_fields__
    }
    name = options.get(TYPE)
    if name is None:
        raise KeyRefused(TYPE, "torchao needs a quant_type", f"use one of {', '.join(sorted(kinds))}")
    kind = _chosen(TYPE, name, kinds, "configuration")
    beside = {key: value for key, value in options.items() if key in own_keys and key != TYPE}
    return TorchAoConfig(_made(kind, {key: value for key, value in options.items() if key not in own_keys}), **beside)


def _classes(module: Any, base: type) -> dict[str, Any]:
    """The data classes of a module that derive from `base`, by name."""
    return {
        name: kind
        for name, kind in vars(module).items()
        if isinstance(kind, type) and issubclass(kind, base) and kind is not base and dataclasses.is_dataclass(kind)
    }


def _chosen(key: str, name: Any, kinds: Mapping[str, Any], noun: str) -> Any:
    kind = kinds.get(name) if isinstance(name, str) else None
    if kind is None:
        hint = did_you_mean(str(name), kinds) or f"use one of {', '.join(sorted(kinds))}"
        raise KeyRefused(key, f"torchao has no {noun} {show(name)}", hint)
    return kind


def _made(kind: Any, arguments: Mapping[str, Any]) -> Any:
    hints = typing.get_type_hints(kind)
    fields = {field.name: field for field in dataclasses.fields(kind)}
    for key in arguments:
        if key not in fields:
            hint = did_you_mean(key, fields) or f"use one of {', '.join(fields)}"
            raise KeyRefused(key, f"{kind.__name__} of torchao has no {show(key)}", hint)
    for key, field in fields.items():
        if key not in arguments and field.default is field.default_factory is dataclasses.MISSING:
            raise KeyRefused(key, f"{kind.__name__} of torchao needs {key}", f"add {key}")
    try:
        return kind(**{key: _argument(key, value, hints[key]) for key, value in arguments.items()})
    except (AssertionError, TypeError, ValueError) as error:
        if isinstance(error, KeyRefused):
            raise
        raise KeyRefused(TYPE, f"{kind.__name__} of torchao refuses its arguments", str(error)) from error


def _argument(key: str, value: Any, hint: Any) -> Any:
    """A YAML value as the type that torchao declares: `int4`, `plain`, `PerRow`, `{type: PerGroup, group_size: 32}`."""
    kinds = [kind for kind in _members(hint) if isinstance(kind, type)]
    if value is not None and any(_is_granularity(kind) for kind in kinds):
        return _granularity(key, value)
    made = value
    for kind in kinds:
        if kind is torch.dtype and isinstance(getattr(torch, str(value), None), torch.dtype):
            made = getattr(torch, str(value))
        elif issubclass(kind, enum.Enum):
            made = next((item for item in kind if value in (item.value, item.name, item.name.lower())), made)
    if made is None and type(None) not in _members(hint):
        raise KeyRefused(key, f"torchao does not take null for {key}", "remove it, or give it a value")
    try:
        return TypeAdapter(hint, config=ConfigDict(arbitrary_types_allowed=True, strict=True)).validate_python(made)
    except ValidationError as error:
        choices = [item.name.lower() for kind in kinds if issubclass(kind, enum.Enum) for item in kind]
        wanted = f"use one of {', '.join(choices)}" if choices else error.errors()[0]["msg"]
        raise KeyRefused(key, f"torchao does not take {show(value)} for {key}", wanted) from error


def _members(hint: Any) -> list[Any]:
    parts = typing.get_args(hint)
    return [member for part in parts for member in _members(part)] if parts else [hint]


def _is_granularity(kind: type) -> bool:
    from torchao.quantization.granularity import Granularity

    return issubclass(kind, Granularity)


def _granularity(key: str, value: Any) -> Any:
    """The scales' granularity: the name of a class, or a mapping with `type` and the class's arguments."""
    from torchao.quantization import granularity

    options = dict(value) if isinstance(value, Mapping) else {"type": value}
    kind = _chosen(key, options.pop("type", None), _classes(granularity, granularity.Granularity), "granularity")
    return _made(kind, options)

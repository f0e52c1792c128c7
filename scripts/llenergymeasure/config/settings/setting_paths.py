"""Dotted paths of an experiment's settings: which exist, and how to read and build an experiment with them.

A *leaf* is one setting (`pytorch.num_beams`); a *section* is a mapping of them (`pytorch`). The dictionaries under
`passthrough_kwargs.<target>` are open: any key below them is a leaf.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from operator import itemgetter
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from llenergymeasure.config.settings.experiment import ExperimentSettings

PASSTHROUGH = "passthrough_kwargs"


@dataclass(frozen=True)
class Leaf:
    """One setting of an experiment."""

    path: str
    section: str
    name: str
    field: FieldInfo

    @property
    def required(self) -> bool:
        return self.field.is_required()

    @property
    def default(self) -> Any:
        return None if self.field.is_required() else self.field.get_default(call_default_factory=True)

    @property
    def description(self) -> str:
        return " ".join((self.field.description or "").split())


@cache
def sections() -> Mapping[str, type[BaseModel]]:
    """Section name → its model, `passthrough_kwargs` among them."""
    models = {}
    for name, field in ExperimentSettings.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            models[name] = field.annotation
    return models


@cache
def open_sections() -> tuple[str, ...]:
    """`passthrough_kwargs.generate` and the like: mappings that accept any key."""
    return tuple(f"{PASSTHROUGH}.{target}" for target in sections()[PASSTHROUGH].model_fields)


@cache
def leaves() -> Mapping[str, Leaf]:
    """Every closed leaf by its dotted path, in the order of the models."""
    by_path: dict[str, Leaf] = {}
    for name, field in ExperimentSettings.model_fields.items():
        if name not in sections():
            by_path[name] = Leaf(name, "", name, field)
        elif name != PASSTHROUGH:
            for inner, inner_field in sections()[name].model_fields.items():
                path = f"{name}.{inner}"
                by_path[path] = Leaf(path, name, inner, inner_field)
    return by_path


def is_section(path: str) -> bool:
    return path in sections() or path in open_sections()


def is_leaf(path: str) -> bool:
    return path in leaves() or any(
        path.startswith(f"{name}.") and len(path) > len(name) + 1 for name in open_sections()
    )


def flatten(config: ExperimentSettings) -> dict[str, Any]:
    """Dotted path → value for every leaf of an experiment, None for what is not set."""
    top = config.__dict__
    flat: dict[str, Any] = {}
    # This runs several times for every experiment of a study, so it reads whole runs of fields at once.
    for section, paths, values_of in _runs_of_leaves():
        flat.update(zip(paths, values_of(top[section].__dict__ if section else top), strict=True))
    for target, options in top[PASSTHROUGH].__dict__.items():
        for key, value in options.items():
            flat[f"{PASSTHROUGH}.{target}.{key}"] = value
    return flat


@cache
def _runs_of_leaves() -> tuple[tuple[str, tuple[str, ...], Callable[[Mapping[str, Any]], Iterable[Any]]], ...]:
    """Neighbouring leaves of one section: its name, their paths, and a function that reads their values."""
    runs = []
    for section, run in groupby(leaves().values(), key=lambda leaf: leaf.section):
        members = list(run)
        names = [leaf.name for leaf in members]
        take = itemgetter(*names) if len(names) > 1 else _only(names[0])
        runs.append((section, tuple(leaf.path for leaf in members), take))
    return tuple(runs)


def _only(name: str) -> Callable[[Mapping[str, Any]], Iterable[Any]]:
    return lambda values: (values[name],)


def nest(flat: Mapping[str, Any]) -> dict[str, Any]:
    """The nested mapping of leaf paths."""
    nested: dict[str, Any] = {}
    for path, value in flat.items():
        head, dot, rest = path.partition(".")
        if not dot:
            nested[path] = value
            continue
        section = nested.setdefault(head, {})
        if head == PASSTHROUGH:
            target, _, key = rest.partition(".")
            section.setdefault(target, {})[key] = value
        else:
            section[rest] = value
    return nested

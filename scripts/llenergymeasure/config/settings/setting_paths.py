"""Dotted paths of an experiment's settings: which there are, and how to read and build an experiment by them.

A *leaf* is one setting (`pytorch.num_beams`); a *section* is a mapping of them (`pytorch`). The dictionaries under
`passthrough_kwargs.<target>` are open: any key below them is a leaf.
"""

from __future__ import annotations

import difflib
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
    found = {}
    for name, field in ExperimentSettings.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            found[name] = field.annotation
    return found


@cache
def open_sections() -> tuple[str, ...]:
    """`passthrough_kwargs.generate` and its like: mappings that take any key."""
    return tuple(f"{PASSTHROUGH}.{target}" for target in sections()[PASSTHROUGH].model_fields)


@cache
def leaves() -> Mapping[str, Leaf]:
    """Every closed leaf by its dotted path, in the order of the models."""
    found: dict[str, Leaf] = {}
    for name, field in ExperimentSettings.model_fields.items():
        if name not in sections():
            found[name] = Leaf(name, "", name, field)
        elif name != PASSTHROUGH:
            for inner, inner_field in sections()[name].model_fields.items():
                path = f"{name}.{inner}"
                found[path] = Leaf(path, name, inner, inner_field)
    return found


def is_section(path: str) -> bool:
    return path in sections() or path in open_sections()


def is_leaf(path: str) -> bool:
    return path in leaves() or any(
        path.startswith(f"{name}.") and len(path) > len(name) + 1 for name in open_sections()
    )


def suggest(path: str) -> str | None:
    """The settings a misspelt path most likely means, as a phrase; None where nothing is near."""
    name = path.rpartition(".")[2]
    near = [known for known in leaves() if known.rpartition(".")[2] == name][:1]
    if not near:
        near = difflib.get_close_matches(path, [*leaves(), *sections(), *open_sections()], n=1, cutoff=0.6)
    if not near:
        by_name = {known.rpartition(".")[2]: known for known in reversed(list(leaves()))}
        near = [by_name[found] for found in difflib.get_close_matches(name, list(by_name), n=1, cutoff=0.75)]
    return f"did you mean {near[0]}?" if near else None


def flatten(config: ExperimentSettings) -> dict[str, Any]:
    """Dotted path → value for every leaf of an experiment, None for what is not set."""
    top = config.__dict__
    flat: dict[str, Any] = {}
    # Run for every experiment of a study several times: whole stretches of fields are taken at once.
    for section, paths, values_of in _stretches():
        flat.update(zip(paths, values_of(top[section].__dict__ if section else top), strict=True))
    for target, options in top[PASSTHROUGH].__dict__.items():
        for key, value in options.items():
            flat[f"{PASSTHROUGH}.{target}.{key}"] = value
    return flat


@cache
def _stretches() -> tuple[tuple[str, tuple[str, ...], Callable[[Mapping[str, Any]], Iterable[Any]]], ...]:
    """Leaves that stand together in one section: its name, their paths, and what takes their values out of it."""
    found = []
    for section, stretch in groupby(leaves().values(), key=lambda leaf: leaf.section):
        several = list(stretch)
        names = [leaf.name for leaf in several]
        take = itemgetter(*names) if len(names) > 1 else _only(names[0])
        found.append((section, tuple(leaf.path for leaf in several), take))
    return tuple(found)


def _only(name: str) -> Callable[[Mapping[str, Any]], Iterable[Any]]:
    return lambda values: (values[name],)


def nest(flat: Mapping[str, Any]) -> dict[str, Any]:
    """The nested mapping of leaf paths; the inverse of spelling paths out."""
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

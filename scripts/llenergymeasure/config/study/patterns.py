"""Which experiments an entry of `exclude`, or `measurement.reference`, matches: those that agree with all its keys."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llenergymeasure.config.problems.problem import Problem
from llenergymeasure.config.settings.decoder import expand_preset
from llenergymeasure.config.settings.setting_paths import leaves
from llenergymeasure.config.study.build import spell_out

# Leaf path → the values that match.
Pattern = Mapping[str, list[Any]]


def read_pattern(entry: Mapping[Any, Any], where: str) -> tuple[Pattern, list[Problem]]:
    """An entry as leaf paths; a list means any of its values. `where`: the place of the entry in the study."""
    flat, problems = spell_out(entry, where)
    return {path: value if isinstance(value, list) else [value] for path, value in flat.items()}, problems


def in_force(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Leaf settings with the values of their decoder preset."""
    decoder = {path[8:]: value for path, value in settings.items() if path.startswith("decoder.")}
    return {**settings, **{f"decoder.{name}": value for name, value in expand_preset(decoder).items()}}


def matches(pattern: Pattern, effective: Mapping[str, Any]) -> bool:
    """Whether settings that are `in_force` agree with every key; a setting that is not set counts as its default."""
    return all(_value_at(effective, path) in _Any(allowed) for path, allowed in pattern.items())


def _value_at(settings: Mapping[str, Any], path: str) -> Any:
    if path in settings:
        return settings[path]
    leaf = leaves().get(path)
    return leaf.default if leaf else None


class _Any:
    """Membership in which `true` differs from 1, and 1 equals 1.0."""

    def __init__(self, allowed: list[Any]) -> None:
        self._allowed = allowed

    def __contains__(self, value: Any) -> bool:
        return any(
            value == other and isinstance(value, bool) == isinstance(other, bool)
            for other in (*self._allowed, self._allowed)
        )

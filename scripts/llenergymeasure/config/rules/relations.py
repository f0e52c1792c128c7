"""What a rule between settings is, and how it is evaluated.

Every rule has an id, a severity, the settings it looks at, and what to change. Rules look at effective values: a
setting that is not set counts as the library's default, and a default that nobody chose breaks no rule.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from llenergymeasure.config.problems.catalogue import Check
from llenergymeasure.config.problems.problem import Problem, Severity
from llenergymeasure.config.problems.text import show
from llenergymeasure.config.settings.parameter import Parameter, Relation, same_as_any
from llenergymeasure.config.settings.registry import parameters


class Values:
    """The settings of an experiment, or of one section: `given` as they are, called for what is in force."""

    __slots__ = ("_given",)

    def __init__(self, given: Mapping[str, Any]) -> None:
        self._given = given

    def given(self, path: str) -> Any:
        return self._given.get(path)

    def __call__(self, path: str) -> Any:
        value = self._given.get(path)
        return _effective_defaults().get(path) if value is None else value


Find = Callable[[Values], str | None]
"""Says what is wrong with the settings, or None."""


@dataclass(frozen=True)
class Rule(Check):
    """A rule is about the first of its `paths`, and is evaluated only where that is set."""

    paths: tuple[str, ...]
    find: Find


def rule(id: str, severity: Severity, *paths: str, says: str, fix: str) -> Callable[[Find], Rule]:
    """Decorator that makes a rule of the function that finds its violations."""
    return lambda find: Rule(id, severity, says, fix, paths, find)


def rules_among(names: Mapping[str, Any]) -> tuple[Rule, ...]:
    """The rules among a module's globals, in the order of the file."""
    return tuple(value for value in names.values() if isinstance(value, Rule))


def rule_from_relation(parameter: Parameter, relation: Relation) -> Rule:
    """The rule that a parameter declares on its own field."""
    own, other = parameter.path, relation.other
    verb = "needs" if relation.kind == "needs" else "clashes with"

    def find(value: Values) -> str | None:
        mine, actual = value.given(own), value(other.path)
        if same_as_any(mine, relation.neutral) or other.holds(actual) is (relation.kind == "needs"):
            return None
        actually = "" if relation.kind == "excludes" and other.test == "is" else f", which is {show(actual)}"
        return f"{show(mine)} {verb} {other.text()}{actually}: {relation.because}"

    says = f"`{own}` {verb} `{other.text()}`: {relation.because}"
    return Rule(relation.rule, relation.severity, says, relation.fix, (own, other.path), find)


def violations(settings: Mapping[str, Any], rules: Iterable[Rule]) -> Iterator[Problem]:
    """One problem per rule that these settings, by dotted path, break."""
    values = Values(settings)
    for item in rules:
        if settings.get(item.paths[0]) is None:
            continue
        message = item.find(values)
        if message is not None:
            yield item.problem(item.paths[0], message)


@cache
def _effective_defaults() -> Mapping[str, Any]:
    return {path: item.effective_default for path, item in parameters().items()}

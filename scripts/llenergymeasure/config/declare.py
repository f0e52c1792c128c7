"""The words a parameter is declared in: what it maps to, what it needs, how its effect is seen."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from llenergymeasure.config.errors import Severity, show

Target = Literal["from_pretrained", "bitsandbytes", "generate", "compile", "runtime"]
Level = Literal["load", "generation"]


def same_as_any(value: Any, others: Iterable[Any]) -> bool:
    """Equality that tells `true` from 1."""
    return any(type(value) is type(other) and value == other for other in others)


class LibraryChoice(str):
    """A library default that is no single value but a choice the library makes; the text says which."""


class When(NamedTuple):
    """A condition on one parameter's effective value (its own, or the library's default where it has none)."""

    path: str
    test: Literal["is", "above", "one of"]
    value: Any

    def holds(self, actual: Any) -> bool:
        if self.test == "is":
            return same_as_any(actual, (self.value,))
        if self.test == "above":
            return isinstance(actual, int | float) and bool(actual > self.value)
        return same_as_any(actual, self.value)

    def text(self) -> str:
        if self.test == "is":
            return f"{self.path}: {show(self.value)}"
        if self.test == "above":
            return f"{self.path} above {show(self.value)}"
        return f"{self.path}: {' or '.join(show(value) for value in self.value)}"


@dataclass(frozen=True)
class Relation:
    """`needs` or `excludes` another parameter's state; not keeping it is a rule's violation.

    It applies where the parameter is set, to something else than `neutral`.
    """

    kind: Literal["needs", "excludes"]
    other: When
    rule: str
    because: str
    fix: str
    severity: Severity = "error"
    neutral: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Parameter:
    """One library parameter of an experiment.

    `keyword` is the library's own name in `target`; `library_default` is what the library does with None;
    `evidence` names the probe that looks at the effect in a run; `skip` says where it can't be tried at all.
    """

    target: Target
    keyword: str
    level: Level
    library_default: Any
    evidence: str
    relations: tuple[Relation, ...] = ()
    skip: str | None = None
    test_values: tuple[Any, ...] = ()
    decoding: tuple[str, ...] = ()
    path: str = ""
    default: Any = None
    description: str = ""

    @property
    def effective_default(self) -> Any:
        """What is in force when nobody sets it; None where the library chooses."""
        if self.default is not None:
            return self.default
        return None if isinstance(self.library_default, LibraryChoice) else self.library_default


def parameter(
    *,
    target: Target,
    keyword: str,
    level: Level,
    library_default: Any,
    evidence: str,
    relations: tuple[Relation, ...] = (),
    skip: str | None = None,
    test_values: tuple[Any, ...] = (),
    decoding: tuple[str, ...] = (),
) -> Parameter:
    """Declare a field as a library parameter; goes into the field's `Annotated`. Path and default are the field's."""
    return Parameter(target, keyword, level, library_default, evidence, relations, skip, test_values, decoding)


def needs(
    other: When,
    *,
    rule: str,
    because: str,
    fix: str,
    severity: Severity = "error",
    neutral: tuple[Any, ...] = (),
) -> Relation:
    """The parameter makes sense only where `other` holds."""
    return Relation("needs", other, rule, because, fix, severity, neutral)


def excludes(
    other: When,
    *,
    rule: str,
    because: str,
    fix: str,
    severity: Severity = "error",
    neutral: tuple[Any, ...] = (),
) -> Relation:
    """The parameter makes no sense where `other` holds."""
    return Relation("excludes", other, rule, because, fix, severity, neutral)

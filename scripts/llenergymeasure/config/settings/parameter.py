"""The vocabulary of parameter declarations: what a parameter maps to, what it needs, how its effect is observed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from llenergymeasure.config.problems.problem import Severity
from llenergymeasure.config.problems.text import show

Target = Literal["from_pretrained", "bitsandbytes", "distributed", "load_adapter", "generate", "compile", "runtime"]
Level = Literal["setup", "generation"]


def same_as_any(value: Any, others: Iterable[Any]) -> bool:
    """Whether the value is among the others, where `true` differs from 1."""
    return any(type(value) is type(other) and value == other for other in others)


class LibraryChoice(str):
    """A library default that is not a single value but a choice by the library; the text describes it."""


class When(NamedTuple):
    """A condition on the effective value of one parameter (as set, or else the library's default)."""

    path: str
    test: Literal["is", "above", "one of", "set"]
    value: Any

    def holds(self, actual: Any) -> bool:
        if self.test == "set":
            return (actual is not None) is self.value
        if self.test == "is":
            return same_as_any(actual, (self.value,))
        if self.test == "above":
            return isinstance(actual, int | float) and bool(actual > self.value)
        return same_as_any(actual, self.value)

    def text(self) -> str:
        if self.test == "set":
            return self.path if self.value else f"no {self.path}"
        if self.test == "is":
            return f"{self.path}: {show(self.value)}"
        if self.test == "above":
            return f"{self.path} above {show(self.value)}"
        return f"{self.path}: {' or '.join(show(value) for value in self.value)}"


@dataclass(frozen=True)
class Requirement:
    """What a machine must have so that a parameter, or some `values` of it, can be tried or has an effect.

    package: the import name of a Python package; pip: the name by which it is installed, where that is another one
    cuda_capability: the minimum compute capability of a CUDA device; (0, 0) for any device
    as_many_devices: as many GPUs as the value
    compiler: a C compiler and Python's headers, `always` or only where the model is on a GPU (`on a GPU`)
    """

    package: str | None = None
    cuda_capability: tuple[int, int] | None = None
    as_many_devices: bool = False
    compiler: Literal["always", "on a GPU"] | None = None
    values: tuple[Any, ...] = ()
    pip: str | None = None

    def concerns(self, value: Any) -> bool:
        """Whether this value of the parameter needs it. None and false need nothing."""
        return value is not None and value is not False and (not self.values or same_as_any(value, self.values))

    def need(self) -> str:
        """For example `needs the package flash_attn and a CUDA device of compute capability 8.0`."""
        install = f" (pip install {self.pip})" if self.pip else ""
        parts = [f"the package {self.package}{install}"] if self.package else []
        if self.cuda_capability is not None:
            least = ".".join(map(str, self.cuda_capability))
            parts.append(
                f"a CUDA device of compute capability {least}" if any(self.cuda_capability) else "a CUDA device"
            )
        if self.as_many_devices:
            parts.append("as many GPUs")
        if self.compiler is not None:
            where = "" if self.compiler == "always" else f"{self.compiler} "
            parts.append(f"{where}a C compiler and Python.h (Debian: gcc, python3-dev)")
        return f"needs {' and '.join(parts)}"

    def text(self) -> str:
        """The need, preceded by the values that have it."""
        return f"{' or '.join(show(value) for value in self.values)} {self.need()}".lstrip()


@dataclass(frozen=True)
class Relation:
    """`needs` or `excludes` a state of another parameter; anything else violates the rule.

    It applies where the parameter is set to a value other than `neutral`.
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

    `keyword` is the library's name for it in `target`; `library_default` is what the library does with None;
    `evidence` names the probe that observes the effect in a run; `requires` is what the machine must have;
    `test_values` are worth trying on any model, and without any `untried` says why.
    """

    target: Target
    keyword: str
    level: Level
    library_default: Any
    evidence: str
    relations: tuple[Relation, ...] = ()
    requires: tuple[Requirement, ...] = ()
    test_values: tuple[Any, ...] = ()
    untried: str | None = None
    decoding: tuple[str, ...] = ()
    path: str = ""
    default: Any = None
    description: str = ""

    @property
    def effective_default(self) -> Any:
        """What is in force where no study sets it; None where the library chooses."""
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
    requires: tuple[Requirement, ...] = (),
    test_values: tuple[Any, ...] = (),
    untried: str | None = None,
    decoding: tuple[str, ...] = (),
) -> Parameter:
    """Declare a field as a library parameter, inside its `Annotated`. The field supplies path and default."""
    return Parameter(
        target, keyword, level, library_default, evidence, relations, requires, test_values, untried, decoding
    )


def needs(
    other: When,
    *,
    rule: str,
    because: str,
    fix: str,
    severity: Severity = "error",
    neutral: tuple[Any, ...] = (),
) -> Relation:
    """The parameter is valid only where `other` holds."""
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
    """The parameter is not valid where `other` holds."""
    return Relation("excludes", other, rule, because, fix, severity, neutral)

"""What a setting accepts, in words: for error messages and for the tables in config/README.md."""

from __future__ import annotations

import re
import types
from typing import Any, Literal, Union, get_args, get_origin

import annotated_types
from pydantic.fields import FieldInfo

from llenergymeasure.config.problems.text import did_you_mean, show
from llenergymeasure.config.settings.base import InWords
from llenergymeasure.config.settings.parameter import LibraryChoice, Parameter

_UNDOTTED_EXPONENT = re.compile(r"[-+]?\d+(\.\d+)?[eE][-+]?\d+")
_NUMBER_OR_WORD = re.compile(r"-?\d+(\.\d+)?|true|false")


def wanted(field: FieldInfo) -> str:
    """For example `a whole number, 1 or more`."""
    words = next((item.text for item in field.metadata if isinstance(item, InWords)), None)
    if words is not None:
        return f"{words}, such as {field.examples[0]}" if field.examples else words
    kinds = [kind for kind in _members(field.annotation) if kind is not type(None)]
    text = " or ".join(dict.fromkeys(_kind(kind) for kind in kinds))
    bounds = _bounds(_constraints(field))
    if bounds:
        text += f", {bounds}"
    if field.examples:
        text += f", such as {field.examples[0]}"
    return text


def expected(field: FieldInfo, value: Any) -> str:
    """The hint for a wrong value: what is accepted, and how to write this value where only its form is wrong."""
    return f"expected: {wanted(field)}{_remark(field, value)}"


def _remark(field: FieldInfo, value: Any) -> str:
    kinds = _members(field.annotation)
    if isinstance(value, str) and str not in kinds:
        if _UNDOTTED_EXPONENT.fullmatch(value):
            return f" (YAML reads {value} as text; write {float(value)!r})"
        if _NUMBER_OR_WORD.fullmatch(value):
            return " (without the quotes)"
        near = nearest_choice(field, value)
        return f" ({near})" if near else ""
    if isinstance(value, bool | int | float) and str in kinds:
        return f" (YAML reads this as {show(value) if isinstance(value, bool) else 'a number'}; put it in quotes)"
    return ""


def when_not_set(item: Parameter) -> str:
    """What is in force where a study does not set the parameter, as Markdown."""
    if item.default is not None:
        return f"`{show(item.default)}`"
    library = item.library_default
    text = str(library) if isinstance(library, LibraryChoice) else f"`{show(library)}`"
    # The library merges the model's own generation_config.json into every call.
    return f"{text}, unless the model's own files set it" if _of_generation(item) else text


def _of_generation(item: Parameter) -> bool:
    return item.target == "generate" and item.level == "generation"


def nearest_choice(field: FieldInfo, value: Any) -> str | None:
    """The allowed word a misspelt one most likely means."""
    words = [
        word
        for kind in _members(field.annotation)
        if get_origin(kind) is Literal
        for word in get_args(kind)
        if isinstance(word, str)
    ]
    return did_you_mean(str(value), words)


def options(field: FieldInfo) -> list[Any] | None:
    """The values that a setting is limited to; None where it is not limited to a list."""
    choices: list[Any] = []
    for kind in _members(field.annotation):
        if kind is bool:
            choices += [True, False]
        elif get_origin(kind) is Literal:
            choices += get_args(kind)
        elif kind is not type(None):
            return None
    return choices


def _constraints(field: FieldInfo) -> list[Any]:
    constraints: list[Any] = []
    for item in field.metadata:
        constraints += item if isinstance(item, annotated_types.GroupedMetadata) else [item]
    return constraints


def _members(annotation: Any) -> list[Any]:
    if get_origin(annotation) in (Union, types.UnionType):
        return [member for part in get_args(annotation) for member in _members(part)]
    return [annotation]


def _kind(kind: Any) -> str:
    plain = {bool: "true or false", int: "a whole number", float: "a number", str: "text", Any: "any value"}
    if kind in plain:
        return plain[kind]
    if get_origin(kind) is Literal:
        words = [show(word) if not isinstance(word, str) else word for word in get_args(kind)]
        return words[0] if len(words) == 1 else f"one of {', '.join(words)}"
    if get_origin(kind) is list:
        return f"a list of {_plural(get_args(kind)[0])}"
    return "a mapping"


def _plural(kind: Any) -> str:
    if kind is str:
        return "texts"
    if get_origin(kind) is Literal:
        return "/".join(str(word) for word in get_args(kind))
    return "mappings" if get_origin(kind) is dict else "values"


def _bounds(constraints: list[Any]) -> str:
    least = next((item.ge for item in constraints if isinstance(item, annotated_types.Ge)), None)
    above = next((item.gt for item in constraints if isinstance(item, annotated_types.Gt)), None)
    most = next((item.le for item in constraints if isinstance(item, annotated_types.Le)), None)
    if least is not None and most is not None:
        return f"from {least} to {most}"
    words = [f"{least} or more"] if least is not None else []
    words += [f"above {above}"] if above is not None else []
    words += [f"{most} or less"] if most is not None else []
    if any(isinstance(item, annotated_types.MinLen) for item in constraints):
        words.append("not empty")
    return " and ".join(words)

"""From a mapping that a user wrote to an experiment, or to everything that is wrong with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from llenergymeasure.config.problems.catalogue import DUPLICATE_KEY, MISSING_KEY, UNKNOWN_KEY, WRONG_VALUE
from llenergymeasure.config.problems.problem import Problem
from llenergymeasure.config.problems.text import show
from llenergymeasure.config.rules.checked import UNCHECKED, ExperimentConfig
from llenergymeasure.config.rules.rulebook import check_rules
from llenergymeasure.config.settings.experiment import PassthroughConfig
from llenergymeasure.config.settings.setting_paths import (
    PASSTHROUGH,
    is_leaf,
    is_section,
    leaves,
    nest,
    sections,
)
from llenergymeasure.config.settings.type_words import expected
from llenergymeasure.config.study.renamed_keys import renamed_key
from llenergymeasure.config.study.suggestions import suggest

_NOTHING_PASSED = PassthroughConfig()
_STAND_IN_MODEL = "random:llama"


def spell_out(settings: Mapping[Any, Any], where: str = "") -> tuple[dict[str, Any], list[Problem]]:
    """Leaf path → value of a partial experiment, nested or with dotted keys; and the keys that are not settings.

    An empty section (null) sets nothing. The value of a leaf is kept whole, also if it is a mapping.
    """
    flat: dict[str, Any] = {}
    problems: list[Problem] = []

    def walk(mapping: Mapping[Any, Any], prefix: str, place: str) -> None:
        for key, value in mapping.items():
            path = f"{prefix}.{key}" if prefix else str(key)
            here = f"{place}.{key}" if place else str(key)
            if not isinstance(key, str):
                problems.append(UNKNOWN_KEY.problem(here, f"the key {show(key)} is not text", "put it in quotes"))
            elif is_section(path):
                if isinstance(value, Mapping):
                    walk(value, path, here)
                elif value is not None:
                    problems.append(WRONG_VALUE.problem(here, f"is {show(value)}", "expected: a mapping"))
            elif not is_leaf(path):
                problems.append(unknown_setting(path, here))
            elif path in flat:
                problems.append(DUPLICATE_KEY.problem(here, "is given twice, dotted and nested"))
            else:
                flat[path] = value

    walk(settings, "", where)
    return flat, problems


def unknown_setting(path: str, place: str) -> Problem:
    """A key or path that is not a setting, or no longer: `place` is where the study has it."""
    return renamed_key(path, place) or UNKNOWN_KEY.problem(place, "is not a setting", suggest(path))


def build(flat: Mapping[str, Any]) -> tuple[ExperimentConfig | None, list[Problem]]:
    """The experiment of these leaf values; None where a problem is an error. Problems carry leaf paths."""
    try:
        # pydantic would copy a default that holds mappings for every experiment of a study: pass one to share instead.
        config = ExperimentConfig.model_validate({PASSTHROUGH: _NOTHING_PASSED, **nest(flat)}, context=UNCHECKED)
    except ValidationError as error:
        problems = value_problems(error, flat)
        broken = {problem.path for problem in problems}
        return None, problems + _rules_among_the_rest(flat, broken)
    problems = check_rules(config)
    return (None if any(problem.severity == "error" for problem in problems) else config), problems


def value_problems(error: ValidationError, flat: Mapping[str, Any]) -> list[Problem]:
    """One problem per leaf: its value, and what is expected."""
    by_path: dict[str, Problem] = {}
    for item in error.errors(include_url=False):
        path = _leaf_from_location(item["loc"])
        leaf = leaves().get(path)
        if item["type"] == "missing":
            by_path[path] = MISSING_KEY.problem(path, "is missing", "write for example org/name or ./folder")
        elif item["type"] == "value_error":
            by_path[path] = WRONG_VALUE.problem(path, *_split(str(item["ctx"]["error"])))
        elif path not in by_path:
            value = flat.get(path, item["input"])
            if leaf is None:
                by_path[path] = WRONG_VALUE.problem(path, f"is {show(value)}", f"{item['msg']}")
            else:
                by_path[path] = WRONG_VALUE.problem(path, f"is {show(value)}", expected(leaf.field, value))
    return list(by_path.values())


def _split(message: str) -> tuple[str, str | None]:
    """A validator's message says what is wrong and, after a semicolon, what to change."""
    wrong, _, right = message.partition("; ")
    return wrong, right or None


def _leaf_from_location(location: tuple[int | str, ...]) -> str:
    """pydantic adds list positions and members of unions to a location; the leaf is the path that the user wrote."""
    head = str(location[0]) if location else ""
    if head not in sections() or len(location) == 1:
        return head
    if head == PASSTHROUGH:
        return ".".join(str(part) for part in location[:3])
    return f"{head}.{location[1]}"


def _rules_among_the_rest(flat: Mapping[str, Any], broken: set[str]) -> list[Problem]:
    """What the rules find in the settings that remain without the broken leaves."""
    rest = {path: value for path, value in flat.items() if path not in broken}
    if "model" in broken:
        rest["model"] = _STAND_IN_MODEL
    try:
        config = ExperimentConfig.model_validate(nest(rest), context=UNCHECKED)
    except ValidationError:
        return []
    return check_rules(config, without=frozenset(broken))

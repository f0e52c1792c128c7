"""The YAML file of a study, with the line of every key."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from llenergymeasure.config.problems.catalogue import DUPLICATE_KEY, UNREADABLE
from llenergymeasure.config.problems.problem import Problem, StudyError
from llenergymeasure.config.problems.text import first_line

_MOST_NODES = 500_000
"""A file of a few lines can expand to billions of nodes through aliases; no study needs this many."""

_TIMESTAMP = "tag:yaml.org,2002:timestamp"


class StudyLoader(yaml.SafeLoader):
    """Safe, and without dates: `2026-01-01` in a study is text."""


StudyLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != _TIMESTAMP]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


@dataclass(frozen=True)
class StudyFile:
    """The content of a file and, by dotted path, the line of every key and list item."""

    name: str
    content: Any
    lines: Mapping[str, int]


def read_study_file(path: Path) -> StudyFile:
    """Read with a safe loader. StudyError: file missing, not UTF-8, not YAML, keys given twice."""
    name = str(path)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise StudyError([_unreadable(name, f"cannot be read: {reason}")]) from error
    try:
        loader = StudyLoader(_without_tabs(text))
        try:
            node = loader.get_single_node()
            lines: dict[str, int] = {}
            problems = list(_walk(node, "", lines, [], [0])) if node is not None else []
            if problems:
                raise StudyError([Problem(**{**problem.to_dict(), "file": name}) for problem in problems])
            content = loader.construct_document(node) if node is not None else None
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        reason = error.problem or error.context or "not YAML"
        line = mark.line + 1 if mark else None
        raise StudyError([_unreadable(name, f"is not YAML: {reason}", line)]) from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise StudyError([_unreadable(name, f"is not YAML: {first_line(error)}")]) from error
    return StudyFile(name, content, lines)


def _without_tabs(text: str) -> str:
    """JSON without its tabs, which YAML does not know as indentation; any other text as it is."""
    if "\t" not in text:
        return text
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return text
    # No string of JSON may contain a tab.
    return text.replace("\t", " ")


def _unreadable(name: str, message: str, line: int | None = None) -> Problem:
    return Problem("error", "", message, UNREADABLE.fix, UNREADABLE.id, name, line)


def _walk(
    node: yaml.Node, path: str, lines: dict[str, int], open_nodes: list[yaml.Node], count: list[int]
) -> Iterator[Problem]:
    """Record the line of every key and item; yield the keys that appear twice in one mapping."""
    count[0] += 1
    if any(node is parent for parent in open_nodes):
        raise yaml.YAMLError("an alias refers to the mapping or list that contains it")
    if count[0] > _MOST_NODES:
        raise yaml.YAMLError(f"with its aliases it has more than {_MOST_NODES} values")
    open_nodes.append(node)
    if isinstance(node, yaml.MappingNode):
        keys: set[str] = set()
        # What `<<: *name` brings has the lines of the mapping that it names.
        merged: dict[str, int] = {}
        for key, value in node.value:
            name = str(key.value) if isinstance(key, yaml.ScalarNode) else "?"
            here = f"{path}.{name}" if path else name
            line = key.start_mark.line + 1
            if name in keys and name != "<<":
                yield Problem("error", here, "is given twice", DUPLICATE_KEY.fix, DUPLICATE_KEY.id, None, line)
            keys.add(name)
            lines[here] = line
            if name == "<<":
                for mapping in value.value if isinstance(value, yaml.SequenceNode) else [value]:
                    brought: dict[str, int] = {}
                    yield from _walk(mapping, path, brought, open_nodes, count)
                    merged = {**brought, **merged}
                continue
            yield from _walk(value, here, lines, open_nodes, count)
        for here, line in merged.items():
            lines.setdefault(here, line)
    elif isinstance(node, yaml.SequenceNode):
        for position, item in enumerate(node.value):
            here = f"{path}[{position}]"
            lines.setdefault(here, item.start_mark.line + 1)
            yield from _walk(item, here, lines, open_nodes, count)
    open_nodes.pop()

"""Where in a study file, or on the command line, a dotted path is written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from llenergymeasure.config.problems.problem import COMMAND_LINE, Problem
from llenergymeasure.config.study.study_file import StudyFile


class Locator:
    """Adds file and line to problems. A value that differs from the one in the file comes from `--config`."""

    def __init__(self, content: Any, file: StudyFile | None) -> None:
        self._file = file
        self._values = dict(_every_path(content))
        self._file_values = dict(_every_path(file.content)) if file else {}

    def place(self, problem: Problem) -> Problem:
        """The problem with the line of its path, or of the nearest mapping around it."""
        if self._file is None:
            return problem
        path = problem.path
        while path and path not in self._values:
            path = _parent(path)
        if path and path not in self._file_values:
            return replace(problem, file=COMMAND_LINE)
        if path and not _is_container(self._values[path]) and not _same(self._file_values[path], self._values[path]):
            return replace(problem, file=COMMAND_LINE)
        return replace(problem, file=self._file.name, line=self._file.lines.get(path))

    def place_all(self, problems: Iterable[Problem]) -> list[Problem]:
        return [self.place(problem) for problem in problems]


def _same(one: Any, other: Any) -> bool:
    # NaN differs from itself, but its text does not.
    return bool(one == other) or repr(one) == repr(other)


def _is_container(value: Any) -> bool:
    return isinstance(value, Mapping | list)


def _parent(path: str) -> str:
    if path.endswith("]"):
        return path[: path.rindex("[")]
    return path.rpartition(".")[0]


def _every_path(content: Any, path: str = "") -> Iterable[tuple[str, Any]]:
    if path:
        yield path, content
    if isinstance(content, Mapping):
        for key, value in content.items():
            yield from _every_path(value, f"{path}.{key}" if path else str(key))
    elif isinstance(content, list):
        for position, value in enumerate(content):
            yield from _every_path(value, f"{path}[{position}]")

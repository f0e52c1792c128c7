"""What is wrong with a study, one line per mistake."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal

from llenergymeasure.config.problems.text import and_more, printable

Severity = Literal["error", "warning"]

COMMAND_LINE = "--config"
_SHOWN_OF_A_KIND = 3


@dataclass(frozen=True)
class Problem:
    """One mistake or doubt. `file` is the study's file, or `--config` for a value given on the command line."""

    severity: Severity
    path: str
    message: str
    hint: str | None = None
    rule: str | None = None
    file: str | None = None
    line: int | None = None

    def render(self) -> str:
        """One line: `file:line: key.path: what is wrong; what to change [rule-id]`."""
        place = f"{self.file}:{self.line}" if self.file and self.line else self.file
        start = ": ".join(part for part in (place, self.path) if part)
        text = f"{start}: {self.message}" if start else self.message
        text += f"; {self.hint}" if self.hint else ""
        text += f" [{self.rule}]" if self.rule else ""
        return printable(text)

    def to_dict(self) -> dict[str, Any]:
        """For plan.json."""
        return asdict(self)


class StudyError(Exception):
    """Everything that is wrong with a study, found in one pass. `str()` gives one line per problem."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(problem.render() for problem in self.problems))


def first_of_each_kind(problems: Iterable[Problem], listed_in: str) -> Iterator[str]:
    """Lines for a terminal: the first few problems of each rule, how many more there are, and which file has all."""
    kinds: dict[str | None, list[Problem]] = {}
    for problem in problems:
        kinds.setdefault(problem.rule, []).append(problem)
    for rule, alike in kinds.items():
        yield from (problem.render() for problem in alike[:_SHOWN_OF_A_KIND])
        if len(alike) > _SHOWN_OF_A_KIND:
            yield f"{and_more(len(alike), _SHOWN_OF_A_KIND)}, all in {listed_in} [{rule}]"

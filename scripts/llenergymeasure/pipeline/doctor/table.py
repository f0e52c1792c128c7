"""The rows of `snakemake doctor`, and the text that shows them."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from llenergymeasure.config.problems.text import counted, printable

Status = Literal["ok", "warning", "problem"]
WIDTH = 100
_STATUS_WIDTH, _WHAT_WIDTH = 9, 20
_INDENT = " " * (_STATUS_WIDTH + _WHAT_WIDTH)
# Keeps a command on one line while text is wrapped.
_NO_BREAK = "\N{NO-BREAK SPACE}"


@dataclass(frozen=True)
class Row:
    """One thing that was looked at.

    status: ok; warning: it makes figures worse or some settings impossible; problem: the study cannot run so
    advice: what to do, with commands in `backquotes`; empty where there is nothing to do
    """

    what: str
    found: str
    status: Status = "ok"
    advice: str = ""


def render(rows: Sequence[Row]) -> str:
    """The table, at most WIDTH characters wide unless a command is longer, and one line that sums it up."""
    lines = [line for row in rows for line in _row_lines(row)]
    problems, warnings = (sum(row.status == status for row in rows) for status in ("problem", "warning"))
    if problems:
        end = f"{counted(problems, 'problem')}: the study cannot run here as it is"
    elif warnings:
        end = f"{counted(warnings, 'warning')}: the study runs; read what they mean for its figures"
    else:
        end = "nothing to do"
    return "\n".join([*lines, "", end])


def _row_lines(row: Row) -> Iterable[str]:
    first = f"{row.status:<{_STATUS_WIDTH}}{row.what:<{_WHAT_WIDTH - 1}} "
    yield from _wrapped(row.found, first, _INDENT)
    if row.advice:
        yield from _wrapped(row.advice, f"{_INDENT}→ ", f"{_INDENT}  ")


def _wrapped(text: str, first: str, rest: str) -> Iterable[str]:
    # Names of devices and messages of drivers end up here: nothing in them may steer the terminal.
    text = re.sub(r"`[^`]*`", lambda command: command[0].replace(" ", _NO_BREAK), printable(text))
    lines = textwrap.wrap(
        text, WIDTH, initial_indent=first, subsequent_indent=rest, break_long_words=False, break_on_hyphens=False
    )
    return [line.replace(_NO_BREAK, " ") for line in lines]

"""Words of a message: values, names and library errors on one short line."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable
from typing import Any

_SHOWN_CHARACTERS = 60


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that a misspelt one most likely means."""
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return near[0] if near else None


def did_you_mean(word: str, known: Iterable[str]) -> str | None:
    """A question for an error message, or None where nothing is near."""
    near = nearest(word, known)
    return f"did you mean {near}?" if near else None


def show(value: Any) -> str:
    """A value the way a YAML author writes it, shortened."""
    try:
        text = json.dumps(value, ensure_ascii=False, default=str)
    except (TypeError, ValueError, RecursionError):
        text = str(value)
    return shortened(" ".join(text.split()), _SHOWN_CHARACTERS)


def shortened(text: str, characters: int) -> str:
    """The text, cut to this many characters; an ellipsis replaces the rest."""
    return text if len(text) <= characters else text[: characters - 1] + "…"


def first_few(names: Iterable[str], most: int = 3, separator: str = ", ") -> str:
    """The first names, and how many more there are."""
    every = list(names)
    some = separator.join(every[:most])
    return f"{some} {and_more(len(every), most)}" if len(every) > most else some


def and_more(total: int, shown: int) -> str:
    """`and 4 more`: what is not shown of a total."""
    return f"and {total - shown} more"


def counted(number: int, noun: str) -> str:
    """`1 setup`, `2 setups`: a number with its noun."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def first_line(error: BaseException) -> str:
    """The gist of a library's error: its first line that says something, or else its class.

    A line that ends with a colon announces the next one.
    """
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    announced = 2 if lines and lines[0].endswith(":") else 1
    return printable(" ".join(lines[:announced])) if lines else type(error).__name__


def printable(text: str) -> str:
    """Text from outside on one line, without the control characters that steer a terminal."""
    return " ".join(legible(text).split())


def legible(line: str) -> str:
    """The line as it stands, with a space for whatever could steer a terminal."""
    return "".join(letter if letter.isprintable() else " " for letter in line)


def bytes_in_words(number: int) -> str:
    """A number of bytes with three digits and a decimal unit: `15.2 GB`."""
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if number >= scale:
            return f"{number / scale:.3g} {unit}"
    return f"{number} B"

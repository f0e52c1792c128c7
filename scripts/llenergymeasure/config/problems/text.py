"""The known word that a misspelt one most likely means."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def nearest(word: str, known: Iterable[str]) -> str | None:
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return near[0] if near else None


def did_you_mean(word: str, known: Iterable[str]) -> str | None:
    """A question for an error message, or None where nothing is near."""
    near = nearest(word, known)
    return f"did you mean {near}?" if near else None


def printable(text: str) -> str:
    """Text from outside on one line, without the control characters that steer a terminal."""
    return " ".join(legible(text).split())


def legible(line: str) -> str:
    """The line as it stands, with a space for whatever could steer a terminal."""
    return "".join(letter if letter.isprintable() else " " for letter in line)

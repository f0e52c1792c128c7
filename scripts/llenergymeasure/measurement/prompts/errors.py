"""Mistakes in prompts, in words."""

from __future__ import annotations

from collections.abc import Collection

from llenergymeasure.config.problems.text import nearest


class PromptError(Exception):
    """Prompts that cannot be built; one line that says what to change."""


class NotRendered(Exception):
    """A prompt's text cannot be rendered or encoded; a line that lacks the prompt's place."""


def name_choices(word: str, known: Collection[str]) -> str:
    """The names there are, after the one that was probably meant. A set is sorted; anything else keeps its order."""
    near = nearest(word, sorted(known))
    names = f"there are: {', '.join(sorted(known) if isinstance(known, set) else known)}"
    return f"did you mean {near!r}? ({names})" if near else names

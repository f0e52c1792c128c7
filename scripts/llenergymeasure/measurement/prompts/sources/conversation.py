"""A conversation in a data set: a list of messages {role, content}, checked before a chat template sees it."""

from __future__ import annotations

from typing import Any

from llenergymeasure.measurement.prompts.errors import PromptError
from llenergymeasure.measurement.prompts.sources.formats import describe_value
from llenergymeasure.measurement.prompts.sources.source import Message

_KEYS = ("role", "content")


def conversation(value: Any, where: str) -> tuple[Message, ...]:
    """The messages of a value, with all that the template may read of them. PromptError where they are no prompt.

    where: the value's place, for errors
    """
    if not isinstance(value, list):
        raise PromptError(f"{where} contains {describe_value(value)}, not a list of messages with role and content")
    if not value:
        raise PromptError(f"{where} has no messages")
    messages = tuple(_message(item, f"{where}, message {number}") for number, item in enumerate(value, start=1))
    last = messages[-1]["role"]
    if last != "user":
        raise PromptError(
            f"{where} ends with a message of the role {last!r}; a prompt ends with one of the user: remove what follows"
        )
    return messages


def _message(item: Any, where: str) -> Message:
    if not isinstance(item, dict):
        raise PromptError(f"{where} is {describe_value(item)}, not an object with role and content")
    # Parquet has every field in every row; what a message lacks is null there.
    given = {key: value for key, value in item.items() if value is not None}
    for key in _KEYS:
        if key not in given:
            there = f"it has {', '.join(map(str, given))}" if given else "it is empty"
            raise PromptError(f"{where} has no {key!r} ({there})")
        if not isinstance(given[key], str):
            raise PromptError(f"{where}: {key!r} contains {describe_value(given[key])}, not text")
        if not given[key].strip():
            raise PromptError(f"{where}: {key!r} is empty")
        check_characters(given[key], f"{where}: {key!r}")
    return given


def check_characters(text: str, where: str) -> None:
    """JSON can write half of a character, which is not text: no tokenizer takes it."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise PromptError(
            f"{where} has half of a character at position {error.start} (\\u{ord(text[error.start]):04x}, a lone "
            "surrogate), which is not text; write the whole character or take it out"
        ) from error

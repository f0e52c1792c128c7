"""Rows of files: which values of a column are taken, and whether they are prompts."""

from __future__ import annotations

import hashlib
import heapq
import random
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

from llenergymeasure.config import DatasetConfig
from llenergymeasure.config.problems.text import first_line
from llenergymeasure.measurement.prompts.errors import PromptError
from llenergymeasure.measurement.prompts.sources.conversation import check_characters, conversation
from llenergymeasure.measurement.prompts.sources.formats import describe_value, require_format
from llenergymeasure.measurement.prompts.sources.source import Row, Rows, Wanted, user_message

Value = tuple[str, Any]
"""(where it is, e.g. "a.jsonl, line 3", and the value of the wanted column)."""


Files = Callable[[], Iterable[tuple[str, Path]]]
"""Gives (name for errors, file on this machine) of each file, as often as it is called."""


def rows_from_files(dataset: DatasetConfig, wanted: Wanted, name: str, files: Files) -> Rows:
    """The rows of the files one after the other, or in the random order of `dataset.sample_seed`.

    name: of all the files together
    """
    digests: dict[str, str] = {}
    column = dataset.column or dataset.messages
    assert column is not None, "a rule asks for one of the two"

    def read() -> Iterator[Value]:
        return chain.from_iterable(_values(label, path, column, digests) for label, path in files())

    values = read() if dataset.sample_seed is None else sample(read, dataset.sample_seed, wanted.n)
    return Rows(name, (_row(dataset, column, place, value) for place, value in values), digests)


def sample(read: Callable[[], Iterable[Value]], seed: int, likely: int) -> Iterator[Value]:
    """All values in a random order. A smaller sample is the beginning of a larger one.

    read: gives the values, as often as it is called; likely: how many are probably taken. No more are held in memory;
    where more are taken, the values are read again. Only `rng.random()` is used: Python promises the same
    numbers from it on every version.
    """
    given, most = 0, likely
    while True:
        rng = random.Random(seed)
        keyed = ((rng.random(), number, value) for number, value in enumerate(read()))
        drawn = heapq.nsmallest(most, keyed)
        yield from (value for _, _, value in drawn[given:])
        if len(drawn) < most:
            return
        given, most = most, 4 * most


def _values(label: str, path: Path, column: str, digests: dict[str, str]) -> Iterator[Value]:
    """The file is opened once, so its digest is of the bytes that were read."""
    read_rows = require_format(label)
    try:
        with path.open("rb") as data:
            digests[label] = hashlib.file_digest(data, "sha256").hexdigest()
            data.seek(0)
            for where, value in read_rows(data, label, column):
                yield f"{label}, {where}", value
    except UnicodeDecodeError as error:
        raise PromptError(f"{label} is not UTF-8 text ({error.reason} at byte {error.start})") from error
    except OSError as error:
        raise PromptError(f"{label} cannot be read ({error.strerror or first_line(error)})") from error


def _row(dataset: DatasetConfig, column: str, place: str, value: Any) -> Row:
    where = f"{place}: column {column!r}"
    if dataset.messages is not None:
        messages = conversation(value, where)
        if dataset.system_prompt is not None and messages[0]["role"] == "system":
            raise PromptError(f"{where} has a system message of its own; remove dataset.system_prompt")
        return Row(dataset.source, messages, place, dataset.system_prompt)
    if not isinstance(value, str):
        advice = "; for a conversation, write dataset.messages in place of column" if isinstance(value, list) else ""
        raise PromptError(f"{where} contains {describe_value(value)}, not text{advice}")
    if not value.strip():
        raise PromptError(f"{where} is empty")
    check_characters(value, where)
    return Row(dataset.source, (user_message(value),), place, dataset.system_prompt)

"""What a source of prompts has to give: rows that a tokenizer encodes, or token ids. Imports no torch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from llenergymeasure.config import DatasetConfig
from llenergymeasure.measurement.prompts.errors import PromptError
from llenergymeasure.models.files import content_digest

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Fetch = Callable[[str, str, str], Path]
"""(data set's name, commit, path inside the data set) -> the file on this machine."""

Message = Mapping[str, Any]
"""What a chat template reads of a turn: `role`, `content`, and whatever else the data set has."""


@dataclass(frozen=True)
class Wanted:
    """How many prompts, the study's seed, and how a file of a data set's repository is obtained."""

    n: int
    seed: int
    fetch: Fetch


@dataclass(frozen=True)
class Row:
    """One prompt before a tokenizer reads it.

    own: the data's messages, the last one the user's; system_prompt: the study's; place: where it is, for errors
    """

    kind: str
    own: tuple[Message, ...]
    place: str
    system_prompt: str | None = None

    @property
    def text(self) -> str:
        """What the user says last."""
        return str(self.own[-1]["content"])

    def with_text(self, text: str) -> tuple[Message, ...]:
        """All messages, the study's system prompt among them, with another text in the last one."""
        before = () if self.system_prompt is None else ({"role": "system", "content": self.system_prompt},)
        return (*before, *self.own[:-1], {**self.own[-1], "content": text})


def user_message(text: str) -> Message:
    return {"role": "user", "content": text}


@dataclass
class Rows:
    """Rows in the order in which prompts are taken from them. A row is read, and its mistakes found, when it is taken.

    name: what has these rows, for errors; digests: path → SHA-256 of the files that were read so far
    """

    name: str
    rows: Iterator[Row]
    digests: dict[str, str] = field(default_factory=dict)

    def begin(self) -> str:
        """Open what has the rows, and read the first: its place. Without rows, their name."""
        first = list(islice(self.rows, 1))
        self.rows = chain(first, self.rows)
        return first[0].place if first else self.name

    def first(self, n: int) -> list[Row]:
        """PromptError where there are fewer."""
        taken = list(islice(self.rows, n))
        if len(taken) < n:
            raise PromptError(f"n_prompts: {n} prompts asked for, but {self.name} has {len(taken)} rows")
        return taken

    @property
    def file_sha256(self) -> str | None:
        """Of the one file, or of the names and digests of several."""
        if len(self.digests) > 1:
            return content_digest(self.digests)
        return next(iter(self.digests.values()), None)


class Source(ABC):
    """Every mistake of the user is a PromptError of one line."""

    @abstractmethod
    def check(self, dataset: DatasetConfig) -> None:
        """PromptError for what is wrong with the settings. Reads no prompts and needs no network."""


class RowSource(Source):
    """Gives rows. local: they can be read without a network"""

    local: ClassVar[bool]

    @abstractmethod
    def open(self, dataset: DatasetConfig, wanted: Wanted) -> Rows:
        """At least the wanted number of rows, or all if there are fewer. Call `check` first."""


class TokenSource(Source):
    """Gives token ids, which no template is put around."""

    @abstractmethod
    def draw(
        self,
        dataset: DatasetConfig,
        *,
        n: int,
        max_input_tokens: int,
        tokenizer: PreTrainedTokenizerBase,
        embedding_rows: int | None,
        seed: int,
    ) -> list[list[int]]:
        """The ids of `n` prompts, or PromptError. Only after `check`.

        embedding_rows: how many ids the model has, where that is known; a tokenizer may know more
        """


def required(dataset: DatasetConfig, key: str) -> Any:
    """A key's value. PromptError where it is not set."""
    value = getattr(dataset, key)
    if value is None:
        raise PromptError(f"dataset.{key}: needed by dataset.source: {dataset.source}")
    return value

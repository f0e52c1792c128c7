"""What a source of prompts has to give: texts that a tokenizer encodes, or token ids. Imports no torch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from llenergymeasure.config import DatasetConfig
from llenergymeasure.measurement.prompts.errors import PromptError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Fetch = Callable[[str, str, str], Path]
"""(dataset name, commit, path inside the dataset) -> the file on this machine."""


@dataclass(frozen=True)
class Wanted:
    """How many prompts, the study's seed, and how a file of a dataset repository is obtained."""

    n: int
    seed: int
    fetch: Fetch


@dataclass(frozen=True)
class Texts:
    """`rows`: (kind, text) of each prompt, in order. `file_sha256`: of the file that held them. `places`: where each
    prompt stands, for messages."""

    rows: list[tuple[str, str]]
    file_sha256: str | None
    places: list[str]


class Source(ABC):
    """Every mistake of the user is a PromptError of one line."""

    @abstractmethod
    def check(self, dataset: DatasetConfig) -> None:
        """PromptError for what is wrong with the settings. Reads no prompts and needs no network."""


class TextSource(Source):
    """Gives texts. local: they can be read without a network"""

    local: ClassVar[bool]

    @abstractmethod
    def read(self, dataset: DatasetConfig, wanted: Wanted) -> Texts:
        """As many texts as wanted, or PromptError. Only after `check`."""


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

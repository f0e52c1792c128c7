"""Where the texts of prompts come from. Needs no tokenizer, and imports no torch."""

from __future__ import annotations

from llenergymeasure.config import DatasetConfig
from llenergymeasure.measurement.prompts.errors import PromptError
from llenergymeasure.measurement.prompts.sources.builtin import Builtin
from llenergymeasure.measurement.prompts.sources.file import File
from llenergymeasure.measurement.prompts.sources.hub import Hub, fetch_hub_file
from llenergymeasure.measurement.prompts.sources.source import Fetch, Source, Texts, TextSource, Wanted
from llenergymeasure.measurement.prompts.sources.synthetic import Synthetic

# `dataset.source` → its reader.
SOURCES: dict[str, Source] = {
    "builtin": Builtin(),
    "file": File(),
    "synthetic": Synthetic(),
    "hub": Hub(),
}


def read_texts(dataset: DatasetConfig, n: int, seed: int, fetch: Fetch | None = None) -> Texts:
    """The texts of `n` prompts. A file and a hub dataset give their first `n` rows, the built-in prompts a selection.

    fetch: how to obtain a file of a hub dataset; by default from the Hugging Face cache or the hub

    Raises:
        PromptError: the source does not have them, or is made of tokens and has no texts (synthetic).
    """
    source = SOURCES[dataset.source]
    source.check(dataset)
    if not isinstance(source, TextSource):
        raise PromptError(f"dataset.source: {dataset.source} prompts are made of a tokenizer's ids and have no texts")
    return source.read(dataset, Wanted(n, seed, fetch or fetch_hub_file))


def fetch_texts(dataset: DatasetConfig, n: int, seed: int) -> None:
    """Get what the texts are read from, where it is not on this machine: the processes that read them are offline.

    PromptError where that fails.
    """
    source = SOURCES[dataset.source]
    if isinstance(source, TextSource) and not source.local:
        read_texts(dataset, n, seed)


def check_dataset(dataset: DatasetConfig, n: int) -> None:
    """PromptError for everything that can be known about the prompts without a network or a tokenizer."""
    source = SOURCES[dataset.source]
    source.check(dataset)
    if isinstance(source, TextSource) and source.local:
        source.read(dataset, Wanted(n, 0, fetch_hub_file))

"""Where prompts come from. Needs no tokenizer, and imports no torch."""

from __future__ import annotations

from llenergymeasure.config import DatasetConfig
from llenergymeasure.measurement.prompts.errors import PromptError
from llenergymeasure.measurement.prompts.sources.builtin import Builtin
from llenergymeasure.measurement.prompts.sources.file import File
from llenergymeasure.measurement.prompts.sources.hub import Hub, fetch_hub_file
from llenergymeasure.measurement.prompts.sources.source import Fetch, Row, Rows, RowSource, Source, Wanted
from llenergymeasure.measurement.prompts.sources.synthetic import Synthetic

# `dataset.source` → its reader.
SOURCES: dict[str, Source] = {
    "builtin": Builtin(),
    "file": File(),
    "synthetic": Synthetic(),
    "hub": Hub(),
}


def open_rows(dataset: DatasetConfig, n: int, seed: int, fetch: Fetch | None = None) -> Rows:
    """The rows from which `n` prompts are taken. A file and a hub data set give their rows in order, or a sample; the
    built-in prompts a selection.

    fetch: how to obtain a file of a hub data set; by default from the Hugging Face cache or the hub

    Raises:
        PromptError: the settings are wrong, or the source is made of tokens and has no rows (synthetic).
    """
    source = SOURCES[dataset.source]
    source.check(dataset)
    if not isinstance(source, RowSource):
        raise PromptError(f"dataset.source: {dataset.source} prompts are made of a tokenizer's ids and have no texts")
    return source.open(dataset, Wanted(n, seed, fetch or fetch_hub_file))


def read_rows(dataset: DatasetConfig, n: int, seed: int, fetch: Fetch | None = None) -> list[Row]:
    """The first `n` rows, whatever their length. PromptError where there are fewer."""
    return open_rows(dataset, n, seed, fetch).first(n)


def fetch_rows(dataset: DatasetConfig, n: int, seed: int, fetch: Fetch | None = None) -> None:
    """Get what the rows are read from, where it is not on this machine: the processes that read them are offline.

    PromptError where that fails.
    """
    source = SOURCES[dataset.source]
    if isinstance(source, RowSource) and not source.local:
        read_rows(dataset, n, seed, fetch)


def check_dataset(dataset: DatasetConfig, n: int) -> None:
    """PromptError for everything that can be known about the prompts without a network or a tokenizer."""
    source = SOURCES[dataset.source]
    source.check(dataset)
    if isinstance(source, RowSource) and source.local:
        read_rows(dataset, n, 0)

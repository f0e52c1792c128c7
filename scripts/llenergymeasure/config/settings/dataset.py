"""Which prompts are measured."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from llenergymeasure.config.settings.base import Config, InWords


class DatasetSettings(Config):
    """The source of the prompts. The result holds a hash of the prompts that were used."""

    source: Literal["builtin", "file", "synthetic", "hub"] = "builtin"
    """builtin: this project's own prompts; file: JSONL or CSV; synthetic: random tokens; hub: a pinned dataset."""

    path: Annotated[str | None, Field(min_length=1)] = None
    """file: the JSONL or CSV file, relative to the directory Snakemake runs in; hub: a file inside the dataset."""

    column: Annotated[str | None, Field(min_length=1)] = None
    """file, hub: the column (CSV) or key (JSONL) that holds the prompt."""

    tokens: Annotated[int | None, Field(ge=1)] = None
    """synthetic: the exact number of tokens of every prompt. No chat template is applied."""

    name: Annotated[
        str | None,
        Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9._-]*$"),
        InWords("a dataset's full name, org/name"),
    ] = None
    """hub: the dataset as `org/name`."""

    revision: Annotated[
        str | None,
        Field(pattern=r"^[0-9a-f]{40}$"),
        InWords(
            "a commit of 40 hexadecimal digits (the dataset's page on the hub has it, under Files, in the history)"
        ),
    ] = None
    """hub: the 40-character commit of the dataset."""

    kinds: Annotated[list[str] | None, Field(min_length=1)] = None
    """builtin: keep only prompts of these kinds."""

    chat_template: bool = True
    """Apply the tokenizer's chat template if it has one."""

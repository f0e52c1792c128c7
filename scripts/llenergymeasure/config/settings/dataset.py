"""Which prompts are measured."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from llenergymeasure.config.settings.base import Config, InWords, plain_mapping
from llenergymeasure.config.settings.parameter import LibraryChoice, parameter

_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9._-]*$"


class DatasetSettings(Config):
    """The source of the prompts. The result holds a hash of the prompts that were used."""

    source: Literal["builtin", "file", "synthetic", "hub"] = "builtin"
    """builtin: this project's own prompts; file: a file of yours; synthetic: random tokens; hub: a pinned data set."""

    path: Annotated[
        str | list[str] | None, Field(min_length=1), InWords("the name of a file, or a list of such names")
    ] = None
    """file: a JSONL, JSON, CSV or Parquet file, relative to the directory Snakemake runs in; hub: a file of the data
    set, or several that are read one after the other."""

    column: Annotated[str | None, Field(min_length=1)] = None
    """file, hub: the column (CSV, Parquet) or key (JSONL, JSON) that holds the prompt as text."""

    messages: Annotated[str | None, Field(min_length=1)] = None
    """file, hub: in place of `column`, the column that holds a conversation: a list of messages {role, content}, the
    last one from the user. It goes through the model's chat template whole, and only its last message is truncated."""

    tokens: Annotated[int | None, Field(ge=1)] = None
    """synthetic: the exact number of tokens of every prompt. No chat template is applied."""

    name: Annotated[str | None, Field(pattern=_NAME), InWords("a data set's full name, org/name")] = None
    """hub: the data set as `org/name`."""

    revision: Annotated[
        str | None, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_./-]*$"), InWords("a branch, a tag or a commit")
    ] = None
    """hub: branch, tag or 40-character commit of the data set. Not set: main, pinned by the lock file to a commit."""

    config: Annotated[str | None, Field(min_length=1)] = None
    """hub: the configuration (subset) that `split` belongs to. Not set: the data set's default."""

    split: Annotated[str | None, Field(min_length=1)] = None
    """hub: in place of `path`, a split such as `train`; `snakemake pin` finds out which files it has."""

    kinds: Annotated[list[str] | None, Field(min_length=1)] = None
    """builtin: keep only prompts of these kinds."""

    sample_seed: Annotated[int | None, Field(ge=0, le=2**32 - 1)] = None
    """file, hub: take `n_prompts` rows at random with this seed. Not set: the first rows, in their order."""

    min_tokens: Annotated[int | None, Field(ge=1)] = None
    """Skip rows with fewer tokens, counted in the row's own text or messages: without chat template, system prompt and
    truncation, so that experiments that differ in those take the same rows."""

    max_tokens: Annotated[int | None, Field(ge=1)] = None
    """Skip rows with more tokens, counted in the same way."""

    chat_template: bool = True
    """Apply the tokenizer's chat template if it has one."""

    system_prompt: Annotated[
        str | None,
        Field(min_length=1),
        parameter(
            target="runtime",
            keyword="first of the messages of apply_chat_template",
            level="generation",
            library_default=LibraryChoice("the chat template's own, if it has one"),
            evidence="system_prompt",
            untried="needs a model whose chat template has a system role",
        ),
    ] = None
    """The system message that precedes every prompt. A model without a chat template, or whose template has no such
    role, is refused."""

    chat_template_kwargs: Annotated[
        dict[str, Any] | None,
        Field(min_length=1),
        AfterValidator(plain_mapping),
        parameter(
            target="runtime",
            keyword="keywords of apply_chat_template",
            level="generation",
            library_default=LibraryChoice("the chat template's own values"),
            evidence="chat_template_kwargs",
            untried="needs a model whose chat template reads keywords",
        ),
    ] = None
    """Keywords for the model's chat template, such as {enable_thinking: false}. One that the template does not read, or
    that changes no prompt, is refused."""


def local_file(path: str) -> Path:
    """Where a data file of the user's is: `~` is the home folder, where there is one."""
    return Path(os.path.expanduser(path))  # noqa: PTH111 - Path.expanduser fails for an unknown user

"""A set of prompts as the token ids a model gets, with digests of exactly those ids."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from llenergymeasure.config import DatasetConfig


@dataclass(frozen=True)
class Prompt:
    """One prompt. `text`: the user's text after truncation, before any template; None where ids were drawn.
    `digest`: SHA-256 of the ids, written in decimal with commas between."""

    index: int
    kind: str
    text: str | None
    input_ids: list[int]
    digest: str


@dataclass(frozen=True)
class PromptSet:
    """Prompts in the order of measurement. `digest`: SHA-256 of their digests, one after the other.
    `description`: where they came from and how long they are, in JSON types."""

    prompts: list[Prompt]
    digest: str
    description: dict[str, Any]


def make_prompt(index: int, kind: str, text: str | None, ids: list[int]) -> Prompt:
    digest = hashlib.sha256(",".join(map(str, ids)).encode()).hexdigest()
    return Prompt(index, kind, text, ids, digest)


def make_prompt_set(
    dataset: DatasetConfig,
    prompts: Sequence[Prompt],
    *,
    file_sha256: str | None,
    truncated: int,
    chat_template: str | None,
    message_content: str | None = None,
) -> PromptSet:
    lengths = [len(prompt.input_ids) for prompt in prompts]
    description = {
        "source": dataset.source,
        "name": dataset.name,
        "revision": dataset.revision,
        "path": dataset.path,
        "column": dataset.column,
        "file_sha256": file_sha256,
        "n": len(prompts),
        "kinds": dict(sorted(Counter(prompt.kind for prompt in prompts).items())),
        "input_tokens": {"min": min(lengths), "mean": sum(lengths) / len(lengths), "max": max(lengths)},
        "truncated": truncated,
        "chat_template": chat_template,
        "message_content": message_content,
    }
    digest = hashlib.sha256("".join(prompt.digest for prompt in prompts).encode()).hexdigest()
    return PromptSet(list(prompts), digest, description)

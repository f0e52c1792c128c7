"""A set of prompts as the token ids a model gets, with digests of exactly those ids."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from llenergymeasure.config import DatasetConfig


@dataclass(frozen=True)
class Prompt:
    """One prompt. `text`: the user's last text after truncation, before any template; None where ids were drawn.
    `digest`: SHA-256 of the ids, written in decimal with commas between."""

    index: int
    kind: str
    text: str | None
    input_ids: list[int]
    digest: str


@dataclass(frozen=True)
class PromptSet:
    """Prompts in the order of measurement. `digest`: SHA-256 of their digests, one after the other.
    `description`: where they came from and how long they are, in JSON types. `changed_prompts`: how many of them each
    keyword of `dataset.chat_template_kwargs` changes."""

    prompts: list[Prompt]
    digest: str
    description: dict[str, Any]
    changed_prompts: Mapping[str, int] = field(default_factory=dict)


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
    skipped: int = 0,
    changed_prompts: Mapping[str, int] | None = None,
) -> PromptSet:
    lengths = [len(prompt.input_ids) for prompt in prompts]
    description = {
        "source": dataset.source,
        "name": dataset.name,
        "revision": dataset.revision,
        "path": dataset.path,
        "column": dataset.column,
        "messages": dataset.messages,
        "file_sha256": file_sha256,
        "n": len(prompts),
        "kinds": dict(sorted(Counter(prompt.kind for prompt in prompts).items())),
        "input_tokens": {"min": min(lengths), "mean": sum(lengths) / len(lengths), "max": max(lengths)},
        "truncated": truncated,
        "skipped": skipped,
        "sample_seed": dataset.sample_seed,
        "min_tokens": dataset.min_tokens,
        "max_tokens": dataset.max_tokens,
        "chat_template": chat_template,
        "message_content": message_content,
        "system_prompt": dataset.system_prompt,
        "chat_template_kwargs": dataset.chat_template_kwargs,
    }
    digest = hashlib.sha256("".join(prompt.digest for prompt in prompts).encode()).hexdigest()
    return PromptSet(list(prompts), digest, description, changed_prompts or {})

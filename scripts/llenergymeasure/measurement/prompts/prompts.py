"""Build the prompts of an experiment: read rows, render them, encode them.

The same dataset, seed and tokenizer give the same ids on every machine and every day: a chat template that prints
today's date prints TEMPLATE_DATE instead.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from llenergymeasure.config import DatasetConfig
from llenergymeasure.measurement.prompts.chat_template import ChatTemplate, choose_template
from llenergymeasure.measurement.prompts.datasets import SOURCES, open_rows
from llenergymeasure.measurement.prompts.encoding import (
    Limits,
    Render,
    Watch,
    encode,
    require_known_ids,
    take_prompts,
)
from llenergymeasure.measurement.prompts.errors import NotRendered, PromptError
from llenergymeasure.measurement.prompts.prompt_set import Prompt, PromptSet, make_prompt, make_prompt_set
from llenergymeasure.measurement.prompts.sources.source import Fetch, Message, TokenSource
from llenergymeasure.measurement.prompts.template_keywords import changed_prompts, require_names

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

__all__ = ["Prompt", "PromptError", "PromptSet", "build_prompts", "require_digest"]


def build_prompts(
    dataset: DatasetConfig,
    *,
    n: int,
    max_input_tokens: int,
    tokenizer: PreTrainedTokenizerBase,
    seed: int,
    embedding_rows: int | None = None,
    fetch_dataset: Fetch | None = None,
    watch: Watch | None = None,
) -> PromptSet:
    """`n` prompts of at most `max_input_tokens` ids each.

    A text that is too long loses tokens at its end until template and text fit; the template stays whole, and so do the
    messages before the last one.
    `embedding_rows`: how many ids the model has, where that is known; no prompt has others.
    `fetch_dataset` obtains a file of a hub data set; by default from the Hugging Face cache or the hub.

    Raises:
        PromptError: the prompts cannot be built as asked; one line that says what to change.
    """
    source = SOURCES[dataset.source]
    if isinstance(source, TokenSource):
        source.check(dataset)
        drawn = source.draw(
            dataset,
            n=n,
            max_input_tokens=max_input_tokens,
            tokenizer=tokenizer,
            embedding_rows=embedding_rows,
            seed=seed,
        )
        prompts = [make_prompt(index, dataset.source, None, ids) for index, ids in enumerate(drawn)]
        return make_prompt_set(dataset, prompts, file_sha256=None, truncated=0, chat_template="off")
    watch = watch or _unwatched
    rows = open_rows(dataset, n, seed, fetch_dataset)
    watch(f"{rows.begin()}, in the chat template")
    template = _template(dataset, tokenizer)
    limits = Limits(dataset.min_tokens, dataset.max_tokens)
    taken = take_prompts(rows, n, _render(tokenizer, template), tokenizer, max_input_tokens, limits, watch)
    require_known_ids(taken.prompts, taken.places, tokenizer, embedding_rows)

    def watched() -> Iterator[Sequence[Message]]:
        for place, messages in zip(taken.places, taken.messages, strict=True):
            watch(f"{place}, without a keyword of dataset.chat_template_kwargs")
            yield messages

    return make_prompt_set(
        dataset,
        taken.prompts,
        file_sha256=rows.file_sha256,
        truncated=taken.truncated,
        skipped=taken.skipped,
        chat_template=_describe_template(dataset, template),
        message_content=None if template is None else template.content,
        changed_prompts={} if template is None else changed_prompts(template, watched),
    )


def require_digest(prompts: PromptSet, checked: str | None) -> None:
    """PromptError unless these are the prompts that were checked before; None: they were not."""
    if checked is not None and prompts.digest != checked:
        raise PromptError(
            f"the prompts are not those that were checked before the run (digest {prompts.digest[:12]}, then "
            f"{checked[:12]}): the data file, the tokenizer or a random template gives others now; run again"
        )


def _unwatched(_: str | None) -> None:
    """Nobody waits for a prompt."""


def _template(dataset: DatasetConfig, tokenizer: PreTrainedTokenizerBase) -> ChatTemplate | None:
    """The model's template; None where none is applied. PromptError where the data set needs one, and there is none."""
    source = choose_template(tokenizer) if dataset.chat_template else None
    if source is None:
        for key in ("system_prompt", "chat_template_kwargs"):
            if getattr(dataset, key) is not None:
                raise PromptError(
                    f"dataset.{key}: needs a chat template, and the model's tokenizer has none; remove the key, or use "
                    "a model that has one"
                )
        return None
    keywords = dataset.chat_template_kwargs or {}
    require_names(tokenizer, source, keywords)
    return ChatTemplate(tokenizer, source, keywords, with_system=dataset.system_prompt is not None)


def _render(tokenizer: PreTrainedTokenizerBase, template: ChatTemplate | None) -> Render:
    if template is None:
        return lambda messages: encode(tokenizer, _only_text(messages), add_special_tokens=True)
    # A template writes the special tokens itself.
    return lambda messages: encode(tokenizer, template.write(messages), add_special_tokens=False)


def _only_text(messages: Sequence[Message]) -> str:
    if len(messages) > 1:
        raise NotRendered(
            f"it has {len(messages)} messages, and without a chat template nothing tells them apart; use a model that "
            "has one, and no chat_template: false"
        )
    return str(messages[0]["content"])


def _describe_template(dataset: DatasetConfig, template: ChatTemplate | None) -> str | None:
    """Its digest; `off` where the study wants none, None where the tokenizer has none."""
    if template is None:
        return None if dataset.chat_template else "off"
    return hashlib.sha256(template.source.encode()).hexdigest()

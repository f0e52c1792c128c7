"""Build the prompts of an experiment: read texts, render them, encode them.

The same dataset, seed and tokenizer give the same ids on every machine and every day: a chat template that prints
today's date prints TEMPLATE_DATE instead.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from llenergymeasure.config import DatasetConfig
from llenergymeasure.measurement.prompts.chat_template import apply_template, choose_template
from llenergymeasure.measurement.prompts.datasets import SOURCES, read_texts
from llenergymeasure.measurement.prompts.encoding import Render, Watch, encode, encode_texts, require_known_ids
from llenergymeasure.measurement.prompts.errors import PromptError
from llenergymeasure.measurement.prompts.prompt_set import Prompt, PromptSet, make_prompt, make_prompt_set
from llenergymeasure.measurement.prompts.sources.source import Fetch, TokenSource

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

    A text that is too long loses tokens at its end until template and text fit; the template stays whole.
    `embedding_rows`: how many ids the model has, where that is known; no prompt has others.
    `fetch_dataset` obtains a file of a hub dataset; by default from the Hugging Face cache or the hub.

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
    texts = read_texts(dataset, n, seed, fetch_dataset)
    template = choose_template(tokenizer) if dataset.chat_template else None
    watch = watch or _unwatched
    watch(f"{texts.places[0]}, in the chat template")
    render, content = (_plain(tokenizer), None) if template is None else _templated(tokenizer, template)
    prompts, truncated = encode_texts(texts, render, tokenizer, max_input_tokens, watch)
    require_known_ids(prompts, texts.places, tokenizer, embedding_rows)
    template_digest = None if template is None else hashlib.sha256(template.encode()).hexdigest()
    return make_prompt_set(
        dataset,
        prompts,
        file_sha256=texts.file_sha256,
        truncated=truncated,
        chat_template=template_digest if dataset.chat_template else "off",
        message_content=content,
    )


def require_digest(prompts: PromptSet, checked: str | None) -> None:
    """PromptError unless these are the prompts that were checked before; None: they were not."""
    if checked is not None and prompts.digest != checked:
        raise PromptError(
            f"the prompts are not those that were checked before the run (digest {prompts.digest[:12]}, then "
            f"{checked[:12]}): the data file, the tokenizer or a random template gives others now; run again"
        )


def _unwatched(_: str) -> None:
    """Nobody waits for a prompt."""


def _plain(tokenizer: PreTrainedTokenizerBase) -> Render:
    return lambda text: encode(tokenizer, text, add_special_tokens=True)


def _templated(tokenizer: PreTrainedTokenizerBase, template: str) -> tuple[Render, str]:
    write, content = apply_template(tokenizer, template)
    return lambda text: encode(tokenizer, write(text), add_special_tokens=False), content

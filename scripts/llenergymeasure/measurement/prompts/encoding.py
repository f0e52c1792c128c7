"""Texts as token ids: encode them, shorten those that are too long, refuse ids that the model does not have."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from llenergymeasure.config.problems.text import first_line
from llenergymeasure.measurement.prompts.errors import NotRendered, PromptError
from llenergymeasure.measurement.prompts.prompt_set import Prompt, make_prompt
from llenergymeasure.measurement.prompts.sources.source import Texts

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Render = Callable[[str], list[int]]
"""A user's text -> the ids of the whole prompt: template or special tokens included."""

Watch = Callable[[str], None]
"""Called with a prompt's place before its text is rendered, and before the chat template is tried out."""


def encode(tokenizer: PreTrainedTokenizerBase, text: str, *, add_special_tokens: bool) -> list[int]:
    """The ids of a text. NotRendered where the tokenizer does not read it."""
    try:
        return [int(token) for token in tokenizer(text, add_special_tokens=add_special_tokens)["input_ids"]]
    except (TypeError, ValueError, OverflowError) as error:
        raise NotRendered(f"the tokenizer does not read it ({first_line(error)}); change the text") from error


def encode_texts(
    texts: Texts, render: Render, tokenizer: PreTrainedTokenizerBase, max_input_tokens: int, watch: Watch
) -> tuple[list[Prompt], int]:
    """The prompts, and how many of them lost text."""
    prompts, truncated = [], 0
    for index, ((kind, text), place) in enumerate(zip(texts.rows, texts.places, strict=True)):

        def watched(text: str, place: str = place) -> list[int]:
            watch(place)
            return render(text)

        try:
            kept, ids = text, watched(text)
            if len(ids) > max_input_tokens:
                kept, ids = _shorten(text, watched, tokenizer, max_input_tokens)
                truncated += 1
        except NotRendered as error:
            raise PromptError(f"{place}: {error}") from error
        if not ids:
            raise PromptError(f"{place}: the tokenizer makes no tokens of {text[:40]!r}")
        prompts.append(make_prompt(index, kind, kept, ids))
    return prompts, truncated


def require_known_ids(
    prompts: Sequence[Prompt], places: Sequence[str], tokenizer: PreTrainedTokenizerBase, embedding_rows: int | None
) -> None:
    """PromptError where a prompt has ids that the model lacks, or none of its text is known to the tokenizer."""
    _require_rows(prompts, places, tokenizer, embedding_rows)
    _require_vocabulary(prompts, places, tokenizer)


def _require_rows(
    prompts: Sequence[Prompt], places: Sequence[str], tokenizer: PreTrainedTokenizerBase, rows: int | None
) -> None:
    for prompt, place in zip(prompts, places, strict=True):
        most = max(prompt.input_ids)
        if rows is not None and most >= rows:
            raise PromptError(
                f"{place}: its token {tokenizer.convert_ids_to_tokens(most)!r} has the id {most}, but the model's "
                f"embedding has {rows} rows; use the tokenizer that belongs to the model, or, where the chat template "
                "adds that token, set dataset.chat_template: false"
            )


def _require_vocabulary(prompts: Sequence[Prompt], places: Sequence[str], tokenizer: PreTrainedTokenizerBase) -> None:
    """Of a script that a vocabulary lacks, every text becomes the same row of unknown tokens."""
    unknown = tokenizer.unk_token_id
    for prompt, place in zip(prompts, places, strict=True):
        if unknown is None or unknown not in prompt.input_ids:
            continue
        if {*tokenizer(prompt.text, add_special_tokens=False)["input_ids"]} == {unknown}:
            raise PromptError(
                f"{place}: the tokenizer knows none of its text, all of it becomes {tokenizer.unk_token!r}; use the "
                "tokenizer that belongs to the model, or texts in a script that it knows"
            )


def _shorten(
    text: str, render: Render, tokenizer: PreTrainedTokenizerBase, max_input_tokens: int
) -> tuple[str, list[int]]:
    """The longest beginning of `text`, cut between two of its tokens, whose rendered whole fits."""
    ends = _token_ends(text, tokenizer)
    best: tuple[str, list[int]] | None = None
    low, high = 0, len(ends) - 1
    while low <= high:
        middle = (low + high) // 2
        beginning = text[: ends[middle]]
        ids = render(beginning)
        if len(ids) <= max_input_tokens:
            best, low = (beginning, ids), middle + 1
        else:
            high = middle - 1
    if best is None:
        raise PromptError(
            f"max_input_tokens: {max_input_tokens} leaves no room for text, as the chat template or the special "
            f"tokens alone take {len(render(''))}; raise it, or set dataset.chat_template: false"
        )
    return best


def _token_ends(text: str, tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """Where each token of `text` ends in it, in characters. Tokenizers written in Python cannot say; there, every
    character counts as an end."""
    if not tokenizer.is_fast:
        return list(range(1, len(text) + 1))
    encoded = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    return sorted({int(end) for _, end in encoded["offset_mapping"]} - {0})

"""Texts as token ids: encode them, shorten those that are too long, refuse ids that the model does not have."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from llenergymeasure.config.problems.text import first_line
from llenergymeasure.measurement.prompts.errors import NotRendered, PromptError
from llenergymeasure.measurement.prompts.prompt_set import Prompt, make_prompt
from llenergymeasure.measurement.prompts.sources.source import Message, Row, Rows

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Render = Callable[[Sequence[Message]], list[int]]
"""Messages -> the ids of the whole prompt: template or special tokens included."""

Watch = Callable[[str | None], None]
"""Called with a prompt's place before its text is rendered, and before the chat template is tried out; with None before
the next row is read, which may take as long as the file is large."""


@dataclass(frozen=True)
class Limits:
    """How many tokens a row may have. None: no limit.

    Template and system prompt do not count, so that all experiments that differ in those take the same rows.
    """

    least: int | None
    most: int | None

    @property
    def are_set(self) -> bool:
        return self.least is not None or self.most is not None

    def allow(self, tokens: int) -> bool:
        return (self.least is None or tokens >= self.least) and (self.most is None or tokens <= self.most)

    def in_words(self) -> str:
        if self.most is None:
            return f"{self.least} or more"
        return f"{self.most} or fewer" if self.least is None else f"from {self.least} to {self.most}"


@dataclass
class Taken:
    """Prompts with their messages and places. truncated: how many lost text; skipped: rows of other lengths"""

    prompts: list[Prompt] = field(default_factory=list)
    messages: list[tuple[Message, ...]] = field(default_factory=list)
    places: list[str] = field(default_factory=list)
    truncated: int = 0
    skipped: int = 0


def encode(tokenizer: PreTrainedTokenizerBase, text: str, *, add_special_tokens: bool) -> list[int]:
    """The ids of a text. NotRendered where the tokenizer does not read it."""
    try:
        return [int(token) for token in tokenizer(text, add_special_tokens=add_special_tokens)["input_ids"]]
    except (TypeError, ValueError, OverflowError) as error:
        raise NotRendered(f"the tokenizer does not read it ({first_line(error)}); change the text") from error


def take_prompts(
    rows: Rows,
    n: int,
    render: Render,
    tokenizer: PreTrainedTokenizerBase,
    max_input_tokens: int,
    limits: Limits,
    watch: Watch,
) -> Taken:
    """The prompts of the first `n` rows that have an allowed length. PromptError where there are fewer."""
    taken = Taken()
    lengths: list[int] = []
    for row in rows.rows:

        def watched(text: str, row: Row = row) -> list[int]:
            watch(row.place)
            return render(row.with_text(text))

        try:
            if limits.are_set:
                watch(row.place)
                length = _own_tokens(row, tokenizer)
                if not limits.allow(length):
                    lengths.append(length)
                    watch(None)
                    continue
            text, ids = row.text, watched(row.text)
            if len(ids) > max_input_tokens:
                text, ids = _shorten(row, watched, tokenizer, max_input_tokens)
                taken.truncated += 1
        except NotRendered as error:
            raise PromptError(f"{row.place}: {error}") from error
        if not ids:
            raise PromptError(f"{row.place}: the tokenizer makes no tokens of {text[:40]!r}")
        watch(None)
        taken.prompts.append(make_prompt(len(taken.prompts), row.kind, text, ids))
        taken.messages.append(row.with_text(text))
        taken.places.append(row.place)
        if len(taken.prompts) == n:
            break
    taken.skipped = len(lengths)
    if len(taken.prompts) < n:
        raise _too_few(rows.name, n, len(taken.prompts), lengths, limits)
    return taken


def _own_tokens(row: Row, tokenizer: PreTrainedTokenizerBase) -> int:
    """Tokens of the data's own texts, each encoded for itself."""
    return sum(len(encode(tokenizer, message["content"], add_special_tokens=False)) for message in row.own)


def _too_few(name: str, n: int, kept: int, others: Sequence[int], limits: Limits) -> PromptError:
    asked = f"n_prompts: {n} prompts asked for, but"
    if not others:
        return PromptError(f"{asked} {name} has {kept} rows")
    few = f"only {kept}" if kept else "none"
    return PromptError(
        f"{asked} of the {kept + len(others)} rows of {name} {few} have {limits.in_words()} tokens (the others "
        f"have {min(others)} to {max(others)}); lower n_prompts, or change dataset.min_tokens or dataset.max_tokens"
    )


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
    row: Row, render: Callable[[str], list[int]], tokenizer: PreTrainedTokenizerBase, max_input_tokens: int
) -> tuple[str, list[int]]:
    """The longest beginning of the row's text, cut between two of its tokens, whose rendered whole fits."""
    text = row.text
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
        before = len(render(""))
        if len(row.own) > 1 or row.system_prompt is not None:
            raise PromptError(
                f"{row.place}: max_input_tokens: {max_input_tokens} leaves no room for its last message, as the chat "
                f"template and the messages before it take {before} tokens; raise it, or set dataset.max_tokens to "
                "skip such rows"
            )
        raise PromptError(
            f"max_input_tokens: {max_input_tokens} leaves no room for text, as the chat template or the special "
            f"tokens alone take {before}; raise it, or set dataset.chat_template: false"
        )
    return best


def _token_ends(text: str, tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """Where each token of `text` ends in it, in characters. Tokenizers written in Python cannot say; there, every
    character counts as an end."""
    if not tokenizer.is_fast:
        return list(range(1, len(text) + 1))
    encoded = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    return sorted({int(end) for _, end in encoded["offset_mapping"]} - {0})

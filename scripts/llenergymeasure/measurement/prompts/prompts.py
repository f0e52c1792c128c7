"""The prompts of an experiment as the token ids a model gets, with digests of exactly those ids.

The same dataset, seed and tokenizer give the same ids on every machine and every day: a chat template that prints
today's date prints TEMPLATE_DATE instead.
"""

from __future__ import annotations

import hashlib
import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from llenergymeasure.config import DatasetConfig
from llenergymeasure.config.problems.text import first_line
from llenergymeasure.measurement.prompts.datasets import Fetch, PromptError, Texts, read_texts

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

__all__ = ["Prompt", "PromptError", "PromptSet", "build_prompts"]

TEMPLATE_DATE = datetime(2025, 1, 1)
_DATE_CODES = ("-d", *"aAbBdHIjmMpSyY")

PROBE = "llenergymeasure probe 7f3a"
"""A text that no template contains."""

Render = Callable[[str], list[int]]
"""A user's text -> the ids of the whole prompt: template or special tokens included."""

Watch = Callable[[str], None]
"""Called with a prompt's place before its text is rendered, and before the chat template is tried out."""


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
        PromptError: the prompts can't be built as asked; one line that says what to change.
    """
    if dataset.source == "synthetic":
        prompts = _synthetic(dataset, n, max_input_tokens, _ordinary_ids(tokenizer, embedding_rows), seed)
        return _prompt_set(dataset, prompts, file_sha256=None, truncated=0, chat_template="off")
    texts = read_texts(dataset, n, seed, fetch_dataset)
    template = _chat_template(tokenizer) if dataset.chat_template else None
    watch = watch or _unwatched
    watch(f"{texts.places[0]}, in the chat template")
    render, content = (_plain(tokenizer), None) if template is None else _templated(tokenizer, template)
    prompts, truncated = _tokenised(texts, render, tokenizer, max_input_tokens, watch)
    _require_rows(prompts, texts.places, tokenizer, embedding_rows)
    _require_known(prompts, texts.places, tokenizer)
    used = hashlib.sha256(template.encode()).hexdigest() if template is not None else None
    return _prompt_set(
        dataset,
        prompts,
        file_sha256=texts.file_sha256,
        truncated=truncated,
        chat_template=used if dataset.chat_template else "off",
        message_content=content,
    )


def require_digest(found: PromptSet, checked: str | None) -> None:
    """PromptError unless these are the prompts that were checked before; None: they were not."""
    if checked is not None and found.digest != checked:
        raise PromptError(
            f"the prompts are not those that were checked before the run (digest {found.digest[:12]}, then "
            f"{checked[:12]}): the data file, the tokenizer or a random template gives others now; run again"
        )


def _unwatched(_: str) -> None:
    """Nobody waits for a prompt."""


def _tokenised(
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
                kept, ids = _shortened(text, watched, tokenizer, max_input_tokens)
                truncated += 1
        except _NotRendered as error:
            raise PromptError(f"{place}: {error}") from error
        if not ids:
            raise PromptError(f"{place}: the tokenizer makes no tokens of {text[:40]!r}")
        prompts.append(Prompt(index, kind, kept, ids, _digest(ids)))
    return prompts, truncated


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


def _require_known(prompts: Sequence[Prompt], places: Sequence[str], tokenizer: PreTrainedTokenizerBase) -> None:
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


def _shortened(
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
    """Where each token of `text` ends in it, in characters. Tokenizers written in Python can't say; there, every
    character counts as an end."""
    if not tokenizer.is_fast:
        return list(range(1, len(text) + 1))
    encoded = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    return sorted({int(end) for _, end in encoded["offset_mapping"]} - {0})


class _NotRendered(Exception):
    """A prompt's text can't be rendered or encoded; a line that lacks the prompt's place."""


def _plain(tokenizer: PreTrainedTokenizerBase) -> Render:
    return lambda text: _encoded(tokenizer, text, add_special_tokens=True)


def _encoded(tokenizer: PreTrainedTokenizerBase, text: str, *, add_special_tokens: bool) -> list[int]:
    try:
        return [int(token) for token in tokenizer(text, add_special_tokens=add_special_tokens)["input_ids"]]
    except (TypeError, ValueError, OverflowError) as error:
        raise _NotRendered(f"the tokenizer does not read it ({first_line(error)}); change the text") from error


def _templated(tokenizer: PreTrainedTokenizerBase, template: str) -> tuple[Render, str]:
    """How a text becomes ids, and how the template wants a message's content: as `text`, or in `parts`.

    Templates of models that see images go through a list of parts, and print nothing of a plain text.
    """
    fill = _filler(tokenizer, template)
    first: _NotRendered | None = None
    for content, wrap in _CONTENTS.items():
        try:
            if PROBE not in fill(wrap(PROBE)):
                continue
        except _NotRendered as error:
            first = first or error
            continue

        def render(text: str, wrap: Callable[[str], Any] = wrap) -> list[int]:
            rendered = fill(wrap(text))
            # Many templates strip the text.
            if text.strip() not in rendered:
                raise _NotRendered(f"the model's chat template changes or drops the text; {_NO_TEMPLATE}")
            return _encoded(tokenizer, rendered, add_special_tokens=False)

        return render, content
    if first is not None:
        raise PromptError(str(first)) from first
    raise PromptError(f"the model's chat template does not print the text of a message; {_NO_TEMPLATE}")


# What Python raises in an expression of a template.
_RAISED_BY_TEMPLATES = (TypeError, ValueError, ArithmeticError, LookupError, AttributeError, RecursionError)
_NO_TEMPLATE = "set dataset.chat_template: false"
_CONTENTS: dict[str, Callable[[str], Any]] = {
    "text": lambda text: text,
    "parts": lambda text: [{"type": "text", "text": text}],
}


def _filler(tokenizer: PreTrainedTokenizerBase, template: str) -> Callable[[Any], str]:
    """The content of one user message -> the rendered prompt."""
    from jinja2 import TemplateError

    dated = _dated(template)

    def fill(content: Any) -> str:
        try:
            rendered = str(
                tokenizer.apply_chat_template(
                    [{"role": "user", "content": content}],
                    chat_template=dated,
                    add_generation_prompt=True,
                    tokenize=False,
                )
            )
        except (TemplateError, *_RAISED_BY_TEMPLATES) as error:
            raise _NotRendered(f"the model's chat template fails ({first_line(error)}); {_NO_TEMPLATE}") from error
        try:
            rendered.encode("utf-8")
        except UnicodeEncodeError as error:
            raise _NotRendered(f"the model's chat template prints half of a character; {_NO_TEMPLATE}") from error
        return rendered

    return fill


def _dated(template: str) -> str:
    """The template with its clock stopped at TEMPLATE_DATE.

    transformers gives templates a function `strftime_now`, and takes only plain data from callers, so a macro of the
    same name is put in front. The line break after it is dropped when the template is rendered.
    """
    if "strftime_now" not in template:
        return template
    written = "".join(f"|replace('%{code}', '{TEMPLATE_DATE.strftime(f'%{code}')}')" for code in _DATE_CODES)
    return f"{{% macro strftime_now(format) %}}{{{{ format{written} }}}}{{% endmacro %}}\n{template}"


def _chat_template(tokenizer: PreTrainedTokenizerBase) -> str | None:
    """The template that will be applied; a tokenizer may hold several by name and then has to have a default."""
    if not tokenizer.chat_template:
        return None
    try:
        return str(tokenizer.get_chat_template())
    except ValueError as error:
        raise PromptError(
            "the tokenizer has several chat templates and no default; set dataset.chat_template: false"
        ) from error


def _synthetic(
    dataset: DatasetConfig, n: int, max_input_tokens: int, vocabulary: Sequence[int], seed: int
) -> list[Prompt]:
    """Ids drawn evenly from the ordinary vocabulary. Only `rng.random()` is the same on every version of Python."""
    tokens = dataset.tokens
    if tokens is None:
        raise PromptError("dataset.tokens: needed by dataset.source: synthetic")
    if tokens > max_input_tokens:
        raise PromptError(
            f"dataset.tokens: {tokens} is more than max_input_tokens ({max_input_tokens}); lower it or raise the other"
        )
    rng = random.Random(seed)
    prompts = []
    for index in range(n):
        ids = [vocabulary[int(rng.random() * len(vocabulary))] for _ in range(tokens)]
        prompts.append(Prompt(index, "synthetic", None, ids, _digest(ids)))
    return prompts


@lru_cache(maxsize=1)
def _ordinary_ids(tokenizer: PreTrainedTokenizerBase, rows: int | None) -> tuple[int, ...]:
    """Kept, as a worker draws prompts for one experiment after the other from one tokenizer.

    rows: of the model's embedding; a tokenizer may know more ids than the model
    """
    apart = {*tokenizer.all_special_ids, *tokenizer.added_tokens_decoder}
    ordinary = sorted(token for token in set(tokenizer.get_vocab().values()) - apart if rows is None or token < rows)
    if not ordinary:
        raise PromptError("dataset.source: the tokenizer has no ordinary tokens to draw synthetic prompts from")
    return tuple(ordinary)


def _prompt_set(
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


def _digest(ids: Sequence[int]) -> str:
    return hashlib.sha256(",".join(map(str, ids)).encode()).hexdigest()

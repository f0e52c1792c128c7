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
from llenergymeasure.measurement.datasets import Fetch, PromptError, Texts, read_texts

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

__all__ = ["Prompt", "PromptError", "PromptSet", "build_prompts"]

TEMPLATE_DATE = datetime(2025, 1, 1)
_DATE_CODES = ("-d", *"aAbBdHIjmMpSyY")

Render = Callable[[str], list[int]]
"""A user's text -> the ids of the whole prompt: template or special tokens included."""


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
    fetch_dataset: Fetch | None = None,
) -> PromptSet:
    """`n` prompts of at most `max_input_tokens` ids each.

    A text that is too long loses tokens at its end until template and text fit; the template stays whole.
    `fetch_dataset` obtains a file of a hub dataset; by default from the Hugging Face cache or the hub.

    Raises:
        PromptError: the prompts can't be built as asked; one line that says what to change.
    """
    if dataset.source == "synthetic":
        prompts = _synthetic(dataset, n, max_input_tokens, tokenizer, seed)
        return _prompt_set(dataset, prompts, file_sha256=None, truncated=0, chat_template="off")
    texts = read_texts(dataset, n, seed, fetch_dataset)
    template = _chat_template(tokenizer) if dataset.chat_template else None
    render = _plain(tokenizer) if template is None else _templated(tokenizer, template)
    prompts, truncated = _tokenised(texts, render, tokenizer, max_input_tokens)
    used = hashlib.sha256(template.encode()).hexdigest() if template is not None else None
    return _prompt_set(
        dataset,
        prompts,
        file_sha256=texts.file_sha256,
        truncated=truncated,
        chat_template=used if dataset.chat_template else "off",
    )


def _tokenised(
    texts: Texts, render: Render, tokenizer: PreTrainedTokenizerBase, max_input_tokens: int
) -> tuple[list[Prompt], int]:
    """The prompts, and how many of them lost text."""
    prompts, truncated = [], 0
    for index, (kind, text) in enumerate(texts.rows):
        kept, ids = text, render(text)
        if len(ids) > max_input_tokens:
            kept, ids = _shortened(text, render, tokenizer, max_input_tokens)
            truncated += 1
        if not ids:
            raise PromptError(f"prompt {index}: the tokenizer makes no tokens of {text[:40]!r}")
        prompts.append(Prompt(index, kind, kept, ids, _digest(ids)))
    return prompts, truncated


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


def _plain(tokenizer: PreTrainedTokenizerBase) -> Render:
    return lambda text: [int(token) for token in tokenizer(text)["input_ids"]]


def _templated(tokenizer: PreTrainedTokenizerBase, template: str) -> Render:
    from jinja2 import TemplateError

    dated = _dated(template)

    def render(text: str) -> list[int]:
        try:
            encoded = tokenizer.apply_chat_template(
                [{"role": "user", "content": text}],
                chat_template=dated,
                add_generation_prompt=True,
                tokenize=True,
                return_dict=True,
            )
        except (TemplateError, TypeError, ValueError) as error:
            raise PromptError(f"the model's chat template fails ({error}); set dataset.chat_template: false") from error
        return [int(token) for token in encoded["input_ids"]]

    return render


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
    dataset: DatasetConfig, n: int, max_input_tokens: int, tokenizer: PreTrainedTokenizerBase, seed: int
) -> list[Prompt]:
    """Ids drawn evenly from the ordinary vocabulary. Only `rng.random()` is the same on every version of Python."""
    tokens = dataset.tokens
    if tokens is None:
        raise PromptError("dataset.tokens: needed by dataset.source: synthetic")
    if tokens > max_input_tokens:
        raise PromptError(
            f"dataset.tokens: {tokens} is more than max_input_tokens ({max_input_tokens}); lower it or raise the other"
        )
    vocabulary = _ordinary_ids(tokenizer)
    rng = random.Random(seed)
    prompts = []
    for index in range(n):
        ids = [vocabulary[int(rng.random() * len(vocabulary))] for _ in range(tokens)]
        prompts.append(Prompt(index, "synthetic", None, ids, _digest(ids)))
    return prompts


@lru_cache(maxsize=1)
def _ordinary_ids(tokenizer: PreTrainedTokenizerBase) -> tuple[int, ...]:
    """Kept, as a worker draws prompts for one experiment after the other from one tokenizer."""
    apart = {*tokenizer.all_special_ids, *tokenizer.added_tokens_decoder}
    ordinary = sorted(set(tokenizer.get_vocab().values()) - apart)
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
    }
    digest = hashlib.sha256("".join(prompt.digest for prompt in prompts).encode()).hexdigest()
    return PromptSet(list(prompts), digest, description)


def _digest(ids: Sequence[int]) -> str:
    return hashlib.sha256(",".join(map(str, ids)).encode()).hexdigest()

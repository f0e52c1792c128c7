"""Prompts of an exact length, drawn from the ordinary tokens of the model's tokenizer."""

from __future__ import annotations

import random
from functools import lru_cache
from typing import TYPE_CHECKING

from llenergymeasure.config import DatasetConfig
from llenergymeasure.measurement.prompts.errors import PromptError
from llenergymeasure.measurement.prompts.sources.source import TokenSource, required

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


class Synthetic(TokenSource):
    def check(self, dataset: DatasetConfig) -> None:
        required(dataset, "tokens")

    def draw(
        self,
        dataset: DatasetConfig,
        *,
        n: int,
        max_input_tokens: int,
        tokenizer: PreTrainedTokenizerBase,
        embedding_rows: int | None,
        seed: int,
    ) -> list[list[int]]:
        """Ids drawn evenly. Only `rng.random()` is the same on every version of Python."""
        tokens: int = required(dataset, "tokens")
        if tokens > max_input_tokens:
            raise PromptError(
                f"dataset.tokens: {tokens} is more than max_input_tokens ({max_input_tokens}); lower it or raise the "
                "other"
            )
        vocabulary = _ordinary_ids(tokenizer, embedding_rows)
        rng = random.Random(seed)
        return [[vocabulary[int(rng.random() * len(vocabulary))] for _ in range(tokens)] for _ in range(n)]


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

"""Small tokenizers for the prompts."""

from __future__ import annotations

import pytest
from measurement.prompts.small_tokenizers import CHAT, make_tokenizer
from transformers import PreTrainedTokenizerFast


@pytest.fixture(scope="module")
def plain() -> PreTrainedTokenizerFast:
    return make_tokenizer()


@pytest.fixture(scope="module")
def chatty() -> PreTrainedTokenizerFast:
    return make_tokenizer(CHAT)

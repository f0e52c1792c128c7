"""A tiny random Llama for the workers, and small tokenizers for the prompts."""

from __future__ import annotations

from pathlib import Path

import pytest
from harness import TINY
from small_tokenizers import CHAT, make_tokenizer
from transformers import PreTrainedTokenizerFast

from llenergymeasure.config.settings.model_ref import parse_model_ref
from llenergymeasure.config.study.lock import ModelsLock
from llenergymeasure.models.snapshot import materialise


@pytest.fixture(scope="session")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "tiny"
    return materialise(parse_model_ref(TINY), None, folder, lock=ModelsLock()).path


@pytest.fixture(scope="module")
def plain() -> PreTrainedTokenizerFast:
    return make_tokenizer()


@pytest.fixture(scope="module")
def chatty() -> PreTrainedTokenizerFast:
    return make_tokenizer(CHAT)

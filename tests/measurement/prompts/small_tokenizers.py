"""Tokenizers whose ids can be read off, and prompt sets made with them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tokenizers import AddedToken, Tokenizer, decoders, pre_tokenizers, processors
from tokenizers import models as tokenizer_models
from transformers import PreTrainedTokenizer, PreTrainedTokenizerFast

from llenergymeasure.config import DatasetConfig
from llenergymeasure.measurement.prompts.prompts import PromptError, PromptSet, build_prompts

CHAT = (
    "{{ bos_token }}{% for m in messages %}<{{ m.role }}>{{ m.content }}</{{ m.role }}>{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)


CHAT_TOKENS = len("<user></user><assistant>") + 1


def make_tokenizer(chat_template: Any = None) -> PreTrainedTokenizerFast:
    """One token a byte, ids 0..255, then <s> and </s>, and one word added to the vocabulary. Plain text gets <s>."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(tokenizer_models.BPE(vocab={letter: i for i, letter in enumerate(letters)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(["<s>", "</s>"])
    tokenizer.add_tokens([AddedToken("joule", normalized=False)])
    start = tokenizer.token_to_id("<s>")
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", start)])
    made = PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>")
    made.chat_template = chat_template
    return made


class Letters(PreTrainedTokenizer):
    """A tokenizer without the Rust library, which cannot say where its tokens lie in the text: a is 0, z is 25."""

    def __init__(self) -> None:
        super().__init__()

    @property
    def vocab_size(self) -> int:
        return 26

    def get_vocab(self) -> dict[str, int]:
        return {chr(ord("a") + i): i for i in range(26)}

    def _tokenize(self, text: str, **_: Any) -> list[str]:
        return list(text)

    def _convert_token_to_id(self, token: str) -> int:
        return self.get_vocab()[token]

    def _convert_id_to_token(self, index: int) -> str:
        return chr(ord("a") + index)


def build(dataset: DatasetConfig, tokenizer: Any, *, n: int = 3, most: int = 10_000, seed: int = 1) -> PromptSet:
    return build_prompts(dataset, n=n, max_input_tokens=most, tokenizer=tokenizer, seed=seed)


def jsonl(path: Path, *rows: Any) -> DatasetConfig:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return DatasetConfig(source="file", path=str(path), column="text")


def said(error: pytest.ExceptionInfo[PromptError]) -> str:
    message = str(error.value)
    assert "\n" not in message
    return message

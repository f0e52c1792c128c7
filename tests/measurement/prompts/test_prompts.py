"""Prompts: which texts are chosen, which ids a model gets, and what is said when a dataset is not as asked."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime
from pathlib import Path
from typing import get_args

import pytest
from measurement.prompts.small_tokenizers import CHAT, CHAT_TOKENS, Letters, build, jsonl, make_tokenizer, said
from transformers import PreTrainedTokenizerFast

from llenergymeasure.config import DatasetConfig
from llenergymeasure.measurement.prompts.datasets import SOURCES, check_dataset, read_rows
from llenergymeasure.measurement.prompts.prompts import PromptError
from llenergymeasure.measurement.prompts.sources.builtin import BUILTIN


def test_every_source_that_a_study_may_name_has_a_reader() -> None:
    assert set(get_args(DatasetConfig.model_fields["source"].annotation)) == SOURCES.keys()


class TestSynthetic:
    def test_exactly_so_many_ordinary_tokens_and_no_template(self, chatty: PreTrainedTokenizerFast) -> None:
        made = build(DatasetConfig(source="synthetic", tokens=200), chatty, n=20)
        assert {len(prompt.input_ids) for prompt in made.prompts} == {200}
        used = {token for prompt in made.prompts for token in prompt.input_ids}
        assert used == set(range(256))  # 4000 draws meet all of them, and <s>, </s> and "joule" are 256..258
        assert {prompt.text for prompt in made.prompts} == {None}
        assert made.description["chat_template"] == "off"
        assert made.description["file_sha256"] is None

    def test_seeded(self, plain: PreTrainedTokenizerFast) -> None:
        dataset = DatasetConfig(source="synthetic", tokens=9)
        assert build(dataset, plain, seed=4) == build(dataset, plain, seed=4)
        assert build(dataset, plain, seed=4).digest != build(dataset, plain, seed=5).digest

    def test_more_than_fit(self, plain: PreTrainedTokenizerFast) -> None:
        with pytest.raises(PromptError) as error:
            build(DatasetConfig(source="synthetic", tokens=65), plain, most=64)
        assert "dataset.tokens: 65" in said(error)
        build(DatasetConfig(source="synthetic", tokens=64), plain, most=64)

    def test_can_be_checked_without_a_tokenizer(self) -> None:
        check_dataset(DatasetConfig(source="synthetic", tokens=64), 10)
        with pytest.raises(PromptError, match="have no texts"):
            read_rows(DatasetConfig(source="synthetic", tokens=64), 10, 0)


class TestTokenising:
    def test_plain_text_gets_the_special_tokens(self, tmp_path: Path, plain: PreTrainedTokenizerFast) -> None:
        (prompt,) = build(jsonl(tmp_path / "p.jsonl", {"text": "héllo"}), plain, n=1).prompts
        assert plain.decode(prompt.input_ids) == "<s>héllo"

    def test_the_chat_template_once_with_the_start_of_an_answer(
        self, tmp_path: Path, chatty: PreTrainedTokenizerFast
    ) -> None:
        made = build(jsonl(tmp_path / "p.jsonl", {"text": "hello"}), chatty, n=1)
        (prompt,) = made.prompts
        assert chatty.decode(prompt.input_ids) == "<s><user>hello</user><assistant>"
        assert all(type(token) is int for token in prompt.input_ids)
        assert prompt.text == "hello"
        assert made.description["chat_template"] == hashlib.sha256(CHAT.encode()).hexdigest()

    def test_the_chat_template_can_be_switched_off(self, tmp_path: Path, chatty: PreTrainedTokenizerFast) -> None:
        dataset = jsonl(tmp_path / "p.jsonl", {"text": "hello"}).model_copy(update={"chat_template": False})
        made = build(dataset, chatty, n=1)
        assert chatty.decode(made.prompts[0].input_ids) == "<s>hello"
        assert made.description["chat_template"] == "off"

    def test_a_tokenizer_without_a_template_is_described_as_such(self, plain: PreTrainedTokenizerFast) -> None:
        assert build(DatasetConfig(), plain).description["chat_template"] is None

    def test_the_default_of_several_templates(self, tmp_path: Path) -> None:
        dataset = jsonl(tmp_path / "p.jsonl", {"text": "hello"})
        several = make_tokenizer({"default": CHAT, "tools": "{{ tools }}"})
        assert several.decode(build(dataset, several, n=1).prompts[0].input_ids).endswith("<assistant>")
        with pytest.raises(PromptError, match="no default"):
            build(dataset, make_tokenizer({"a": CHAT, "b": CHAT}), n=1)

    def test_a_template_that_fails(self, tmp_path: Path) -> None:
        refusing = make_tokenizer("{{ raise_exception('system first') }}")
        with pytest.raises(PromptError, match=r"chat template fails \(system first\)"):
            build(jsonl(tmp_path / "p.jsonl", {"text": "hello"}), refusing, n=1)

    @pytest.mark.parametrize("form", ["%d %b %Y", "%Y-%m-%d", "%B %-d, %Y", "%A"])
    def test_a_template_that_prints_the_date_prints_the_same_every_day(self, tmp_path: Path, form: str) -> None:
        dated = make_tokenizer(
            f"  {{% if strftime_now is defined %}}{{% set day = strftime_now('{form}') %}}{{% endif %}}\n"
            "[{{ day }}]\n{{ messages[0].content }}"
        )
        (prompt,) = build(jsonl(tmp_path / "p.jsonl", {"text": "hello"}), dated, n=1).prompts
        assert dated.decode(prompt.input_ids) == f"[{datetime(2025, 1, 1).strftime(form)}]\nhello"


class TestTruncation:
    def test_the_text_is_shortened_and_the_template_stays_whole(
        self, tmp_path: Path, chatty: PreTrainedTokenizerFast
    ) -> None:
        dataset = jsonl(tmp_path / "p.jsonl", {"text": "abcdefghij" * 10}, {"text": "short"})
        made = build(dataset, chatty, n=2, most=CHAT_TOKENS + 25)
        first, second = made.prompts
        assert chatty.decode(first.input_ids) == "<s><user>abcdefghijabcdefghijabcde</user><assistant>"
        assert first.text == "abcdefghijabcdefghijabcde"
        assert second.text == "short"
        assert made.description["truncated"] == 1
        assert made.description["input_tokens"] == {
            "min": CHAT_TOKENS + 5,
            "mean": CHAT_TOKENS + 15.0,
            "max": CHAT_TOKENS + 25,
        }

    def test_a_prompt_that_just_fits_is_left_alone(self, tmp_path: Path, plain: PreTrainedTokenizerFast) -> None:
        dataset = jsonl(tmp_path / "p.jsonl", {"text": "abcdefghi"})
        assert build(dataset, plain, n=1, most=10).description["truncated"] == 0
        cut = build(dataset, plain, n=1, most=9)
        assert (cut.prompts[0].text, cut.description["truncated"]) == ("abcdefgh", 1)

    def test_no_character_is_cut_in_two(self, tmp_path: Path, plain: PreTrainedTokenizerFast) -> None:
        dataset = jsonl(tmp_path / "p.jsonl", {"text": "日本語"})  # three bytes, so three tokens, a character
        for most in range(4, 10):
            (prompt,) = build(dataset, plain, n=1, most=most).prompts
            assert prompt.text == "日本語"[: (most - 1) // 3]
            assert plain.decode(prompt.input_ids) == f"<s>{prompt.text}"

    def test_the_cut_is_between_tokens(self, tmp_path: Path, plain: PreTrainedTokenizerFast) -> None:
        dataset = jsonl(tmp_path / "p.jsonl", {"text": "joule" * 9})  # one token each, five if cut
        for words in range(1, 9):
            assert build(dataset, plain, n=1, most=1 + words).prompts[0].text == "joule" * words

    def test_a_tokenizer_written_in_python(self, tmp_path: Path) -> None:
        made = build(jsonl(tmp_path / "p.jsonl", {"text": "hello"}), Letters(), n=1, most=3)
        assert (made.prompts[0].text, made.prompts[0].input_ids) == ("hel", [7, 4, 11])

    def test_a_template_that_leaves_no_room(self, tmp_path: Path, chatty: PreTrainedTokenizerFast) -> None:
        dataset = jsonl(tmp_path / "p.jsonl", {"text": "hello"})
        assert build(dataset, chatty, n=1, most=CHAT_TOKENS + 1).prompts[0].text == "h"
        with pytest.raises(PromptError) as error:
            build(dataset, chatty, n=1, most=CHAT_TOKENS)
        assert f"max_input_tokens: {CHAT_TOKENS} leaves no room" in said(error)

    def test_every_built_in_prompt_fits(self, chatty: PreTrainedTokenizerFast) -> None:
        made = build(DatasetConfig(), chatty, n=200, most=128)
        assert max(len(prompt.input_ids) for prompt in made.prompts) <= 128
        assert all(chatty.decode(prompt.input_ids).endswith("</user><assistant>") for prompt in made.prompts)
        assert 0 < made.description["truncated"] < 200


class TestDigests:
    def test_are_of_the_ids(self, plain: PreTrainedTokenizerFast) -> None:
        made = build(DatasetConfig(), plain, n=5)
        for prompt in made.prompts:
            assert prompt.digest == hashlib.sha256(",".join(map(str, prompt.input_ids)).encode()).hexdigest()
        assert made.digest == hashlib.sha256("".join(prompt.digest for prompt in made.prompts).encode()).hexdigest()

    def test_change_with_the_order_and_the_template(
        self, tmp_path: Path, plain: PreTrainedTokenizerFast, chatty: PreTrainedTokenizerFast
    ) -> None:
        forth = jsonl(tmp_path / "a.jsonl", {"text": "a"}, {"text": "b"})
        back = jsonl(tmp_path / "b.jsonl", {"text": "b"}, {"text": "a"})
        digests = [build(forth, plain, n=2), build(back, plain, n=2), build(forth, chatty, n=2)]
        assert len({made.digest for made in digests}) == 3

    def test_the_description_is_json(self, chatty: PreTrainedTokenizerFast) -> None:
        description = build(DatasetConfig(), chatty).description
        assert json.loads(json.dumps(description)) == description
        assert description["file_sha256"] == hashlib.sha256(BUILTIN.read_bytes()).hexdigest()

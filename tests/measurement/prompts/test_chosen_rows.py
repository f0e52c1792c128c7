"""Which rows become prompts: the first ones, a sample with a seed, or those of an allowed length."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path
from typing import Any, ClassVar

import pytest
from measurement.prompts.small_tokenizers import build, jsonl, said
from transformers import PreTrainedTokenizerFast

from llenergymeasure.config import DatasetConfig
from llenergymeasure.measurement.prompts.datasets import check_dataset, read_rows
from llenergymeasure.measurement.prompts.prompts import PromptError


def numbered(path: Path, count: int = 20, **more: Any) -> DatasetConfig:
    return jsonl(path, *({"text": f"prompt {number}"} for number in range(count))).model_copy(update=more)


def by_length(path: Path, lengths: list[int], **more: Any) -> DatasetConfig:
    return jsonl(path, *({"text": "x" * length} for length in lengths)).model_copy(update=more)


def texts(dataset: DatasetConfig, n: int, seed: int = 0) -> list[str]:
    return [row.text for row in read_rows(dataset, n, seed)]


class TestASample:
    def test_is_drawn_with_its_own_seed_and_the_same_everywhere(self, tmp_path: Path) -> None:
        rng = random.Random(5)
        order = sorted(range(20), key=[rng.random() for _ in range(20)].__getitem__)
        drawn = texts(numbered(tmp_path / "a.jsonl", sample_seed=5), 6)
        assert drawn == [f"prompt {number}" for number in order[:6]]
        assert texts(numbered(tmp_path / "a.jsonl", sample_seed=5), 6, seed=9) == drawn
        assert texts(numbered(tmp_path / "a.jsonl", sample_seed=6), 6) != drawn
        assert texts(numbered(tmp_path / "a.jsonl"), 6) == [f"prompt {number}" for number in range(6)]

    def test_a_smaller_one_is_the_beginning_of_a_larger_one(self, tmp_path: Path) -> None:
        dataset = numbered(tmp_path / "a.jsonl", sample_seed=1)
        assert texts(dataset, 20)[:7] == texts(dataset, 7)
        assert sorted(texts(dataset, 20)) == sorted(f"prompt {number}" for number in range(20))

    def test_is_read_again_where_the_rows_that_fit_are_rare(
        self, tmp_path: Path, plain: PreTrainedTokenizerFast
    ) -> None:
        lengths = [50 if number % 10 else 5 for number in range(100)]
        dataset = by_length(tmp_path / "a.jsonl", lengths, sample_seed=2, max_tokens=5)
        made = build(dataset, plain, n=10)
        assert {prompt.text for prompt in made.prompts} == {"x" * 5}
        assert made.description["skipped"] <= 90
        with pytest.raises(PromptError, match=r"of the 100 rows of .* only 10 have 5 or fewer tokens"):
            build(dataset, plain, n=11)

    def test_every_row_is_as_likely_as_every_other(self, tmp_path: Path) -> None:
        counts = Counter(
            text for seed in range(160) for text in texts(numbered(tmp_path / "a.jsonl", count=8, sample_seed=seed), 2)
        )
        assert len(counts) == 8
        assert max(abs(count - 40) for count in counts.values()) < 5 * (160 * 2 / 8 * (1 - 2 / 8)) ** 0.5

    def test_a_row_that_is_not_drawn_is_not_looked_at(self, tmp_path: Path) -> None:
        dataset = numbered(tmp_path / "a.jsonl", sample_seed=5)
        drawn = texts(dataset, 6)
        rows = [{"text": f"prompt {number}" if f"prompt {number}" in drawn else ""} for number in range(20)]
        assert texts(jsonl(tmp_path / "a.jsonl", *rows).model_copy(update={"sample_seed": 5}), 6) == drawn
        with pytest.raises(PromptError, match="column 'text' is empty"):
            check_dataset(jsonl(tmp_path / "a.jsonl", *rows).model_copy(update={"sample_seed": 5}), 7)

    def test_is_in_the_record_and_changes_the_digest(self, tmp_path: Path, plain: PreTrainedTokenizerFast) -> None:
        first = build(numbered(tmp_path / "a.jsonl"), plain, n=4)
        drawn = build(numbered(tmp_path / "a.jsonl", sample_seed=5), plain, n=4)
        assert (first.description["sample_seed"], drawn.description["sample_seed"]) == (None, 5)
        assert first.digest != drawn.digest
        assert first.description["file_sha256"] == drawn.description["file_sha256"]


class TestLengths:
    LENGTHS: ClassVar = [3, 40, 12, 90, 8, 20, 5]

    def kept(self, tokenizer: PreTrainedTokenizerFast, dataset: DatasetConfig, n: int, **more: Any) -> list[int]:
        return [len(prompt.text or "") for prompt in build(dataset, tokenizer, n=n, **more).prompts]

    def test_are_those_of_the_rows_own_text_and_decide_before_the_first_are_taken(
        self, tmp_path: Path, plain: PreTrainedTokenizerFast
    ) -> None:
        path = tmp_path / "a.jsonl"
        assert self.kept(plain, by_length(path, self.LENGTHS, min_tokens=9), 3) == [40, 12, 90]
        assert self.kept(plain, by_length(path, self.LENGTHS, min_tokens=8, max_tokens=40), 3) == [40, 12, 8]
        assert self.kept(plain, by_length(path, self.LENGTHS, max_tokens=8), 3) == [3, 8, 5]

    def test_do_not_depend_on_template_and_system_prompt(
        self, tmp_path: Path, plain: PreTrainedTokenizerFast, chatty: PreTrainedTokenizerFast
    ) -> None:
        dataset = by_length(tmp_path / "a.jsonl", self.LENGTHS, min_tokens=12, max_tokens=40)
        asked = dataset.model_copy(update={"system_prompt": "Be brief." * 9})
        kept = [
            self.kept(tokenizer, data, 3) for tokenizer, data in ((plain, dataset), (chatty, dataset), (chatty, asked))
        ]
        assert kept == [[40, 12, 20]] * 3

    def test_of_a_conversation_are_those_of_all_its_messages(
        self, tmp_path: Path, chatty: PreTrainedTokenizerFast
    ) -> None:
        turns = [{"role": role, "content": "x" * 10} for role in ("user", "assistant", "user")]
        jsonl(tmp_path / "a.jsonl", {"turns": turns[:1]}, {"turns": turns})
        data = DatasetConfig(source="file", path=str(tmp_path / "a.jsonl"), messages="turns", min_tokens=30)
        made = build(data, chatty, n=1)
        assert made.description["skipped"] == 1
        assert len(made.prompts[0].input_ids) > 30
        with pytest.raises(PromptError, match=r"none have 31 or more tokens \(the others have 10 to 30\)"):
            build(data.model_copy(update={"min_tokens": 31}), chatty, n=1)

    def test_are_counted_before_truncation(self, tmp_path: Path, plain: PreTrainedTokenizerFast) -> None:
        dataset = by_length(tmp_path / "a.jsonl", self.LENGTHS, min_tokens=20, max_tokens=50)
        made = build(dataset, plain, n=2, most=30)
        assert [len(prompt.text or "") for prompt in made.prompts] == [29, 20]
        assert (made.description["truncated"], made.description["skipped"]) == (1, 4)
        assert (made.description["min_tokens"], made.description["max_tokens"]) == (20, 50)

    def test_of_a_sample_and_of_the_built_in_prompts(self, tmp_path: Path, plain: PreTrainedTokenizerFast) -> None:
        dataset = by_length(tmp_path / "a.jsonl", self.LENGTHS, sample_seed=3, min_tokens=8, max_tokens=20)
        assert sorted(self.kept(plain, dataset, 3)) == [8, 12, 20]
        made = build(DatasetConfig(min_tokens=100, max_tokens=300), plain, n=30)
        assert {len(prompt.input_ids) - 1 for prompt in made.prompts} <= {*range(100, 301)}  # and <s>
        assert made.description["skipped"] > 0

    def test_too_few_of_them_are_an_error_with_the_numbers(
        self, tmp_path: Path, plain: PreTrainedTokenizerFast
    ) -> None:
        dataset = by_length(tmp_path / "a.jsonl", self.LENGTHS, min_tokens=8, max_tokens=20)
        check_dataset(dataset, 4)
        with pytest.raises(PromptError) as error:
            build(dataset, plain, n=4)
        assert "n_prompts: 4 prompts asked for, but of the 7 rows of " in said(error)
        assert "a.jsonl only 3 have from 8 to 20 tokens (the others have 3 to 90)" in said(error)
        with pytest.raises(PromptError, match=r"a\.jsonl none have 100 or more tokens \(the others have 3 to 90\)"):
            build(by_length(tmp_path / "a.jsonl", self.LENGTHS, min_tokens=100), plain, n=1)
        with pytest.raises(PromptError, match=r"of the 222 rows of the set of built-in prompts none have 1 or fewer"):
            build(DatasetConfig(max_tokens=1), plain, n=1)

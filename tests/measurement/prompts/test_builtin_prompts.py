"""The prompts that come with the pipeline: what they are, and which of them a study gets."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections import Counter
from itertools import combinations
from pathlib import Path

import pytest
from measurement.prompts.small_tokenizers import build, said
from transformers import PreTrainedTokenizerFast

from llenergymeasure.config import DatasetConfig
from llenergymeasure.measurement.prompts.datasets import check_dataset, read_rows
from llenergymeasure.measurement.prompts.prompts import PromptError
from llenergymeasure.measurement.prompts.sources.builtin import BUILTIN

ROOT = Path(__file__).resolve().parents[3]


KINDS = {
    "question",
    "instruction",
    "summarise",
    "code",
    "dialogue",
    "reasoning",
    "creative",
    "extraction",
    "translation",
}


@pytest.fixture(scope="module")
def rows() -> list[dict[str, str]]:
    return [json.loads(line) for line in BUILTIN.read_text(encoding="utf-8").splitlines()]


def texts(n: int, seed: int) -> set[str]:
    return {row.text for row in read_rows(DatasetConfig(), n, seed)}


class TestTheBuiltInPrompts:
    def test_there_are_enough_of_every_kind(self, rows: list[dict[str, str]]) -> None:
        assert len(rows) >= 200
        counts = Counter(row["kind"] for row in rows)
        assert set(counts) == KINDS
        assert min(counts.values()) >= 20

    def test_a_row_has_an_id_a_kind_and_a_text_of_its_own(self, rows: list[dict[str, str]]) -> None:
        assert all(set(row) == {"id", "kind", "prompt"} for row in rows)
        assert len({row["id"] for row in rows}) == len(rows)
        assert len({" ".join(row["prompt"].lower().split()) for row in rows}) == len(rows)
        assert all(row["prompt"] == row["prompt"].strip() != "" for row in rows)

    def test_no_two_are_nearly_the_same(self, rows: list[dict[str, str]]) -> None:
        words = [(row["id"], set(row["prompt"].lower().split())) for row in rows]
        alike = [(a, b) for (a, x), (b, y) in combinations(words, 2) if len(x & y) / len(x | y) > 0.5]
        assert alike == []

    def test_no_text_fills_itself_up_by_repetition(self, rows: list[dict[str, str]]) -> None:
        for row in rows:
            words = row["prompt"].split()
            runs = Counter(zip(*(words[i:] for i in range(8)), strict=False))
            assert max(runs.values(), default=1) == 1, row["id"]

    def test_lengths_go_from_a_few_words_to_a_few_hundred(self, rows: list[dict[str, str]]) -> None:
        words = [len(row["prompt"].split()) for row in rows]
        assert sum(count <= 12 for count in words) >= 40
        assert sum(20 <= count <= 120 for count in words) >= 60
        assert sum(120 < count < 300 for count in words) >= 5
        assert sum(300 <= count <= 500 for count in words) >= 20
        assert max(words) <= 500


class TestTheChoiceOfBuiltInPrompts:
    def test_the_same_seed_chooses_the_same_prompts_in_every_process(self) -> None:
        program = (
            "from llenergymeasure.config import DatasetConfig\n"
            "from llenergymeasure.measurement.prompts.datasets import read_rows\n"
            "import hashlib; print(hashlib.sha256(repr(read_rows(DatasetConfig(), 50, 7)).encode()).hexdigest())"
        )
        printed = {
            subprocess.run(
                [sys.executable, "-c", program],
                env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT / "scripts")},
                capture_output=True,
                text=True,
                check=True,
            ).stdout.strip()
            for seed in ("1", "2")
        }
        here = hashlib.sha256(repr(read_rows(DatasetConfig(), 50, 7)).encode()).hexdigest()
        assert printed == {here}

    def test_another_seed_chooses_others(self) -> None:
        assert texts(50, 7) != texts(50, 8)

    def test_a_smaller_set_is_the_beginning_of_a_larger_one(self) -> None:
        assert read_rows(DatasetConfig(), 20, 3) == read_rows(DatasetConfig(), 90, 3)[:20]

    @pytest.mark.parametrize("seed", range(5))
    def test_kinds_and_lengths_mix(self, seed: int) -> None:
        rows = [(row.kind, row.text) for row in read_rows(DatasetConfig(), 27, seed)]
        assert Counter(kind for kind, _ in rows) == dict.fromkeys(KINDS, 3)
        for kind in KINDS:
            everything = sorted(len(row.text) for row in read_rows(DatasetConfig(kinds=[kind]), 20, 0))
            chosen = sorted(len(text) for kind_of_row, text in rows if kind_of_row == kind)
            assert chosen[0] <= everything[len(everything) // 2] <= chosen[2]
        assert len({kind for kind, _ in rows[:9]}) == 9

    def test_all_of_them_can_be_had_once_each(self) -> None:
        count = len(BUILTIN.read_text(encoding="utf-8").splitlines())
        assert len(texts(count, 0)) == count

    def test_more_than_there_are_is_an_error_with_the_number(self) -> None:
        with pytest.raises(PromptError) as error:
            check_dataset(DatasetConfig(), 100_000)
        count = len(BUILTIN.read_text(encoding="utf-8").splitlines())
        assert f"there are {count} built-in prompts" in said(error)

    def test_kinds_are_kept_to(self, plain: PreTrainedTokenizerFast) -> None:
        made = build(DatasetConfig(kinds=["code", "question"]), plain, n=10)
        assert made.description["kinds"] == {"code": 5, "question": 5}
        assert {prompt.kind for prompt in made.prompts} == {"code", "question"}

    def test_too_many_of_a_kind_is_an_error(self) -> None:
        with pytest.raises(PromptError) as error:
            check_dataset(DatasetConfig(kinds=["code"]), 150)
        assert "of kind code" in said(error)

    def test_an_unknown_kind_is_answered_with_the_known_ones(self) -> None:
        with pytest.raises(PromptError) as error:
            check_dataset(DatasetConfig(kinds=["code", "summarize"]), 5)
        assert "'summarize'; did you mean 'summarise'?" in said(error)
        assert all(kind in said(error) for kind in KINDS)

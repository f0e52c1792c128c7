"""Prompts from a user's file."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
from measurement.prompts.small_tokenizers import build, jsonl, said
from transformers import PreTrainedTokenizerFast

from llenergymeasure.config import DatasetConfig
from llenergymeasure.measurement.prompts.datasets import check_dataset, read_rows
from llenergymeasure.measurement.prompts.prompts import PromptError


class TestAFile:
    def test_its_first_rows_in_order(self, tmp_path: Path, plain: PreTrainedTokenizerFast) -> None:
        dataset = jsonl(tmp_path / "p.jsonl", *({"text": f"prompt {i}", "other": i} for i in range(5)))
        made = build(dataset, plain, n=3, seed=99)
        assert [prompt.text for prompt in made.prompts] == ["prompt 0", "prompt 1", "prompt 2"]
        assert [prompt.index for prompt in made.prompts] == [0, 1, 2]
        assert made.description["kinds"] == {"file": 3}
        assert made.description["path"] == str(tmp_path / "p.jsonl")
        assert made.description["file_sha256"] == hashlib.sha256((tmp_path / "p.jsonl").read_bytes()).hexdigest()

    def test_csv_with_quoted_line_breaks_and_a_byte_order_mark(self, tmp_path: Path) -> None:
        path = tmp_path / "p.csv"
        path.write_text('text,id\r\n"one,\ntwo",1\r\nthree,2\r\n', encoding="utf-8-sig")
        dataset = DatasetConfig(source="file", path=str(path), column="text")
        assert [row.text for row in read_rows(dataset, 2, 0)] == ["one,\ntwo", "three"]

    def test_a_missing_file(self, tmp_path: Path) -> None:
        with pytest.raises(PromptError) as error:
            check_dataset(DatasetConfig(source="file", path=str(tmp_path / "no.jsonl"), column="text"), 1)
        assert "no.jsonl does not exist" in said(error)

    def test_an_ending_that_is_not_known(self, tmp_path: Path) -> None:
        (tmp_path / "p.txt").write_text("hello")
        with pytest.raises(PromptError, match=r"p\.txt should end in \.jsonl, \.json, \.csv, \.parquet"):
            check_dataset(DatasetConfig(source="file", path=str(tmp_path / "p.txt"), column="text"), 1)

    @pytest.mark.parametrize("ending", ["jsonl", "csv"])
    def test_a_missing_column_names_those_there_are(self, tmp_path: Path, ending: str) -> None:
        path = tmp_path / f"p.{ending}"
        path.write_text('{"id": 1, "prompt": "a"}\n' if ending == "jsonl" else "id,prompt\n1,a\n")
        with pytest.raises(PromptError) as error:
            check_dataset(DatasetConfig(source="file", path=str(path), column="promt"), 1)
        assert "no column 'promt'; did you mean 'prompt'? (there are: id, prompt)" in said(error)

    @pytest.mark.parametrize(
        ("value", "what"), [("", "is empty"), ("  \n", "is empty"), (5, "a number"), (None, "null"), (["a"], "a list")]
    )
    def test_a_value_that_is_not_a_prompt_is_named_with_its_line(self, tmp_path: Path, value: Any, what: str) -> None:
        dataset = jsonl(tmp_path / "p.jsonl", {"text": "fine"}, {"text": value})
        with pytest.raises(PromptError) as error:
            check_dataset(dataset, 2)
        assert "line 2" in said(error)
        assert what in said(error)

    def test_an_empty_csv_field_is_named_with_its_line(self, tmp_path: Path) -> None:
        path = tmp_path / "p.csv"
        path.write_text('id,text\n1,"two\nlines"\n2,\n')
        with pytest.raises(PromptError, match="line 4: column 'text' is empty"):
            check_dataset(DatasetConfig(source="file", path=str(path), column="text"), 2)

    def test_rows_beyond_n_are_not_looked_at(self, tmp_path: Path) -> None:
        check_dataset(jsonl(tmp_path / "p.jsonl", {"text": "fine"}, {"text": ""}), 1)

    def test_fewer_rows_than_n(self, tmp_path: Path) -> None:
        dataset = jsonl(tmp_path / "p.jsonl", {"text": "a"}, {"text": "b"})
        with pytest.raises(PromptError) as error:
            check_dataset(dataset, 3)
        assert "3 prompts asked for" in said(error)
        assert "has 2 rows" in said(error)

    @pytest.mark.parametrize(
        ("name", "content", "what"),
        [
            ("p.jsonl", b'{"text": "a"}\n{"text": \n', "line 2 is not JSON"),
            ("p.jsonl", b'{"text": "a"}\n["b"]\n', "line 2 is a list, not a JSON object"),
            ("p.jsonl", b'{"text": "caf\xe9"}\n', "is not UTF-8 text"),
            ("p.csv", b"text,id\na,1\nb, or c,2\n", "line 3 has 3 fields where the header has 2"),
            ("p.csv", b'text,id\n"a,1\n', "line 2 is not CSV"),
            ("p.csv", b"text,text\na,b\n", "more than one column 'text'"),
            ("p.csv", b"", "no columns at all"),
        ],
    )
    def test_a_broken_file(self, tmp_path: Path, name: str, content: bytes, what: str) -> None:
        (tmp_path / name).write_bytes(content)
        with pytest.raises(PromptError) as error:
            check_dataset(DatasetConfig(source="file", path=str(tmp_path / name), column="text"), 2)
        assert what in said(error)

"""Formats of data files that people have: JSON, Parquet, long CSV fields, other separators, `~`."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pyarrow
import pytest
from measurement.prompts.small_tokenizers import build, make_tokenizer, said
from pyarrow import parquet

from llenergymeasure.config import DatasetConfig
from llenergymeasure.measurement.prompts.datasets import check_dataset, read_rows
from llenergymeasure.measurement.prompts.prompts import PromptError

TEXTS = ["Why is the sky blue?", "Was kostet ein Brötchen? 🥨", "Explain 2+2."]


def dataset(path: Path, column: str = "prompt") -> DatasetConfig:
    return DatasetConfig(source="file", path=str(path), column=column)


def texts(path: Path, n: int, column: str = "prompt") -> list[str]:
    return [row.text for row in read_rows(dataset(path, column), n, 0)]


def test_parquet(tmp_path: Path) -> None:
    path = tmp_path / "table.parquet"
    parquet.write_table(pyarrow.table({"a.b": TEXTS[::-1], "prompt": TEXTS}), path)
    assert texts(path, 3) == TEXTS
    assert texts(path, 3, "a.b") == TEXTS[::-1]
    with pytest.raises(PromptError, match=r"table\.parquet has no column 'promt'; did you mean 'prompt'\?"):
        check_dataset(dataset(path, "promt"), 1)
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(PromptError, match=r"table\.parquet is not a Parquet file"):
        check_dataset(dataset(path), 1)


@pytest.mark.parametrize("lines", [None, 1])
def test_json_is_a_list_of_objects_or_an_object_on_each_line(tmp_path: Path, lines: int | None) -> None:
    path, rows = tmp_path / "p.json", [{"prompt": text} for text in TEXTS]
    text = json.dumps(rows, indent=1) if lines is None else "".join(json.dumps(row) + "\n" for row in rows)
    path.write_text(text, encoding="utf-8-sig")
    assert texts(path, 3) == TEXTS
    with pytest.raises(PromptError, match=f"p.json, {'row' if lines is None else 'line'} 1 has no column 'promt'"):
        check_dataset(dataset(path, "promt"), 1)


@pytest.mark.parametrize(
    ("name", "content", "what"),
    [
        ("p.json", '{\n "prompt": "a"\n}', "p.json is not a list of rows; write [{…}, {…}], or an object on each line"),
        ("p.json", "", "p.json is not a list of rows"),
        ("p.json", '[{"prompt": "a"},\n {"prompt": }]', "p.json is not JSON (Expecting value at line 2)"),
        ("p.json", '["a"]', "p.json, row 1 is text, not a JSON object"),
        ("p.json", "[" * 100_000, "p.json cannot be read as JSON (maximum recursion depth exceeded"),
        ("p.jsonl", '{"prompt": ' + "1" * 5000 + "}", "p.jsonl, line 1 cannot be read as JSON (Exceeds the limit"),
    ],
)
def test_what_is_not_json_is_one_line(tmp_path: Path, name: str, content: str, what: str) -> None:
    path = tmp_path / name
    path.write_text(content, encoding="utf-8")
    with pytest.raises(PromptError) as error:
        check_dataset(dataset(path), 1)
    assert what in said(error)


def test_a_csv_field_may_be_longer_than_the_librarys_limit(tmp_path: Path) -> None:
    path, long = tmp_path / "long.csv", "The quick brown fox. " * 8000
    assert len(long) > 131_072
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([["prompt"], [long], ["short"]])
    csv.field_size_limit(131_072)
    assert texts(path, 2) == [long, "short"]


@pytest.mark.parametrize(("sign", "words"), [(";", "semicolons (;)"), ("\t", "tabs"), ("|", "bars (|)")])
@pytest.mark.parametrize("column", ["prompt", "promt"])
def test_another_separator_is_named(tmp_path: Path, sign: str, words: str, column: str) -> None:
    path = tmp_path / "p.csv"
    path.write_text(sign.join(["id", "prompt", "kind"]) + "\n" + sign.join(["0", "Why, and how?", "x"]) + "\n")
    with pytest.raises(PromptError) as error:
        check_dataset(dataset(path, column), 1)
    assert f"p.csv is separated by {words}, not by commas (its columns are id, prompt, kind)" in said(error)
    assert "did you mean" not in said(error)


@pytest.mark.parametrize(("name", "content"), [("p.jsonl", ""), ("p.json", "[]"), ("p.csv", "prompt\n")])
def test_a_file_without_rows(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(PromptError, match=rf"n_prompts: 2 prompts asked for, but .*{name} has 0 rows"):
        build(dataset(tmp_path / name), make_tokenizer(), n=2)


def test_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "p.jsonl").write_text(json.dumps({"prompt": "a"}) + "\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert texts(Path("~/p.jsonl"), 1) == ["a"]
    with pytest.raises(PromptError, match=rf"{tmp_path}/none\.jsonl does not exist"):
        check_dataset(dataset(Path("~/none.jsonl")), 1)
    with pytest.raises(PromptError, match=r"~no-such-user-here/p\.jsonl does not exist"):
        check_dataset(dataset(Path("~no-such-user-here/p.jsonl")), 1)


@pytest.mark.parametrize("days", [2**31 - 1, 3_000_000])
def test_a_day_beyond_the_calendar_is_one_line(tmp_path: Path, days: int) -> None:
    path = tmp_path / "days.parquet"
    message = {"role": "user", "content": "Why?", "sent": days}
    fields = [("role", pyarrow.string()), ("content", pyarrow.string()), ("sent", pyarrow.date32())]
    turns = pyarrow.array([[message]], pyarrow.list_(pyarrow.struct(fields)))
    parquet.write_table(pyarrow.table({"prompt": pyarrow.array([days], pyarrow.date32()), "turns": turns}), path)
    for data in (dataset(path), DatasetConfig(source="file", path=str(path), messages="turns")):
        with pytest.raises(PromptError) as error:
            check_dataset(data, 1)
        assert "has a date that is no day of a calendar" in said(error)
    with pytest.raises(PromptError, match="has 1 rows"):
        parquet.write_table(pyarrow.table({"prompt": ["Why?"], "sent": turns}), path)
        check_dataset(dataset(path), 2)


def test_a_damaged_parquet_file_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "table.parquet"
    parquet.write_table(pyarrow.table({"prompt": TEXTS}), path)
    content = bytearray(path.read_bytes())
    content[4:40] = bytes([0xFF]) * 36
    path.write_bytes(content)
    with pytest.raises(PromptError) as error:
        check_dataset(dataset(path), 1)
    assert "table.parquet cannot be read (" in said(error)


def test_a_name_that_is_too_long_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(PromptError) as error:
        check_dataset(dataset(tmp_path / f"{'a' * 300}.jsonl"), 1)
    assert "cannot be opened (File name too long) (a relative path starts at" in said(error)

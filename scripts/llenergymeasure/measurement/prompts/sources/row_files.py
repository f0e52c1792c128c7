"""Files of prompts: one text per row, as JSONL, CSV or Parquet. A format is a reader here and a line of a table."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Callable, Iterator, Mapping
from itertools import chain, islice
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from llenergymeasure.config.problems.text import first_line
from llenergymeasure.measurement.prompts.errors import PromptError, name_choices
from llenergymeasure.measurement.prompts.sources.source import Texts

Rows = Iterator[tuple[str, Any]]
"""(where, e.g. "line 3", and the value of the wanted column)."""

ReadRows = Callable[[BinaryIO, str, str], Rows]
"""(open file, its name for messages, column) -> its rows."""


def first_rows(path: Path, label: str, column: str, n: int, *, kind: str) -> Texts:
    """The first `n` values of a column. The file is opened once, so its digest is of the bytes that were read."""
    read_rows = require_format(label, HUB_FORMATS)
    try:
        with path.open("rb") as data:
            sha256 = hashlib.file_digest(data, "sha256").hexdigest()
            data.seek(0)
            values = list(islice(read_rows(data, label, column), n))
    except UnicodeDecodeError as error:
        raise PromptError(f"{label} is not UTF-8 text ({error.reason} at byte {error.start})") from error
    except OSError as error:
        raise PromptError(f"{label} cannot be read ({error.strerror or error})") from error
    for where, value in values:
        if not isinstance(value, str):
            raise PromptError(f"{label}, {where}: column {column!r} contains {_describe_value(value)}, not text")
        if not value.strip():
            raise PromptError(f"{label}, {where}: column {column!r} is empty")
        _check_characters(value, f"{label}, {where}: column {column!r}")
    if len(values) < n:
        raise PromptError(f"n: {n} prompts asked for, but {label} has {len(values)} rows")
    return Texts([(kind, value) for _, value in values], sha256, [f"{label}, {where}" for where, _ in values])


def _check_characters(text: str, where: str) -> None:
    """JSON can write half of a character, which is not text: no tokenizer takes it."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise PromptError(
            f"{where} has half of a character at position {error.start} (\\u{ord(text[error.start]):04x}, a lone "
            "surrogate), which is not text; write the whole character or take it out"
        ) from error


def _jsonl_rows(data: BinaryIO, label: str, column: str) -> Rows:
    with io.TextIOWrapper(data, encoding="utf-8-sig") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except json.JSONDecodeError as error:
                raise PromptError(f"{label}, line {number} is not JSON ({error.msg})") from error
            if not isinstance(row, dict):
                raise PromptError(f"{label}, line {number} is {_describe_value(row)}, not a JSON object")
            if column not in row:
                raise _no_column(f"{label}, line {number}", column, list(row))
            yield f"line {number}", row[column]


def _csv_rows(data: BinaryIO, label: str, column: str) -> Rows:
    with io.TextIOWrapper(data, encoding="utf-8-sig", newline="") as lines:
        rows = csv.reader(lines, strict=True)
        line = 1  # where the row begins: `line_num` is where it ends, and quoted text may go over several
        try:
            header = next(rows, [])
            if column not in header:
                raise _no_column(label, column, header)
            if header.count(column) > 1:
                raise PromptError(f"{label} has more than one column {column!r}")
            line = rows.line_num + 1
            for row in rows:
                if row and len(row) != len(header):
                    raise PromptError(
                        f"{label}, line {line} has {len(row)} fields where the header has {len(header)}; "
                        "put text with commas or line breaks into double quotes"
                    )
                if row:
                    yield f"line {line}", row[header.index(column)]
                line = rows.line_num + 1
        except csv.Error as error:
            raise PromptError(f"{label}, line {line} is not CSV ({error})") from error


def _parquet_rows(data: BinaryIO, label: str, column: str) -> Rows:
    from pyarrow import ArrowException
    from pyarrow.parquet import ParquetFile

    try:
        table = ParquetFile(data)
        columns = table.schema_arrow.names
        if column not in columns:
            raise _no_column(label, column, columns)
        values = chain.from_iterable(
            batch.column(0).to_pylist() for batch in table.iter_batches(batch_size=1024, columns=[column])
        )
        for number, value in enumerate(values, start=1):
            yield f"row {number}", value
    except ArrowException as error:
        raise PromptError(f"{label} is not a Parquet file ({first_line(error)})") from error


LOCAL_FORMATS: Mapping[str, ReadRows] = {".jsonl": _jsonl_rows, ".csv": _csv_rows}
HUB_FORMATS: Mapping[str, ReadRows] = {**LOCAL_FORMATS, ".parquet": _parquet_rows}


def require_format(name: str, formats: Mapping[str, ReadRows]) -> ReadRows:
    """The reader of a file by the end of its name. PromptError where there is none."""
    suffix = PurePosixPath(name).suffix.lower()
    if suffix not in formats:
        raise PromptError(f"dataset.path: {name} should end in {', '.join(formats)}")
    return formats[suffix]


def _no_column(where: str, column: str, columns: list[str]) -> PromptError:
    if not columns:
        return PromptError(f"{where} has no column {column!r}: it has no columns at all")
    return PromptError(f"{where} has no column {column!r}; {name_choices(column, columns)}")


def _describe_value(value: object) -> str:
    """A JSON or Parquet value that is not text, in words."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, int | float):
        return "a number"
    return {"list": "a list", "dict": "an object", "str": "a string"}.get(type(value).__name__, type(value).__name__)

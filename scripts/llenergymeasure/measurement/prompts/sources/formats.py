"""Formats of data files: JSONL, JSON, CSV, Parquet. A format is a reader here and a line of a table."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any, BinaryIO

from llenergymeasure.config.problems.text import first_line
from llenergymeasure.measurement.prompts.errors import PromptError, name_choices

Values = Iterator[tuple[str, Any]]
"""(where, e.g. "line 3", and the value of the wanted column)."""

ReadValues = Callable[[BinaryIO, str, str], Values]
"""(open file, its name for messages, column) -> the column's values."""

# What people separate columns with, in words; the header of a file shows which.
_SEPARATORS = {";": "semicolons (;)", "\t": "tabs", "|": "bars (|)"}


def _parse_json(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        at = f" at line {error.lineno}" if error.lineno > 1 else ""
        raise PromptError(f"{where} is not JSON ({error.msg}{at})") from error
    except (ValueError, RecursionError) as error:
        raise PromptError(f"{where} cannot be read as JSON ({first_line(error)})") from error


def _value(row: Any, where: str, column: str) -> Any:
    if not isinstance(row, dict):
        raise PromptError(f"{where} is {describe_value(row)}, not a JSON object")
    if column not in row:
        raise _no_column(where, column, list(row))
    return row[column]


def _jsonl_values(data: BinaryIO, label: str, column: str) -> Values:
    with io.TextIOWrapper(data, encoding="utf-8-sig") as lines:
        for number, line in enumerate(lines, start=1):
            if line.strip():
                where = f"{label}, line {number}"
                yield f"line {number}", _value(_parse_json(line, where), where, column)


def _json_values(data: BinaryIO, label: str, column: str) -> Values:
    """A list of objects. Many files of this name are JSONL instead: an object on each line."""
    head = data.read(4096).decode("utf-8-sig", errors="replace").strip()
    data.seek(0)
    if head.rstrip(",") in ("{", "") or head.partition("\n")[0].strip() == "{":
        raise PromptError(f"{label} is not a list of rows; write [{{…}}, {{…}}], or an object on each line")
    if not head.startswith("["):
        yield from _jsonl_values(data, label, column)
        return
    with io.TextIOWrapper(data, encoding="utf-8-sig") as text:
        rows = _parse_json(text.read(), label)
    for number, row in enumerate(rows, start=1):
        yield f"row {number}", _value(row, f"{label}, row {number}", column)


def _csv_values(data: BinaryIO, label: str, column: str) -> Values:
    # The library's own limit of 128 KiB is less than a long document; a field cannot be longer than its file.
    csv.field_size_limit(sys.maxsize)
    with io.TextIOWrapper(data, encoding="utf-8-sig", newline="") as lines:
        rows = csv.reader(lines, strict=True)
        line = 1  # where the row begins: `line_num` is where it ends, and quoted text may go over several
        try:
            header = next(rows, [])
            if column not in header:
                _require_commas(label, header)
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


def _require_commas(label: str, header: list[str]) -> None:
    """PromptError where a header of one field shows another separator."""
    separator = next((sign for sign in _SEPARATORS if len(header) == 1 and sign in header[0]), None)
    if separator is not None:
        columns = [name.strip().strip('"') for name in header[0].split(separator)]
        raise PromptError(
            f"{label} is separated by {_SEPARATORS[separator]}, not by commas (its columns are {', '.join(columns)}); "
            "save it with commas, or as JSONL"
        )


def _parquet_values(data: BinaryIO, label: str, column: str) -> Values:
    from pyarrow import ArrowException
    from pyarrow.parquet import ParquetFile

    try:
        table = ParquetFile(data)
        columns = table.schema_arrow.names
        if column not in columns:
            raise _no_column(label, column, columns)
        number = 0
        # A dot in a name would be read as a path into a structure, so columns are not chosen by name there.
        for batch in table.iter_batches(batch_size=1024, columns=None if "." in column else [column]):
            for value in batch.column(batch.schema.get_field_index(column)).to_pylist():
                number += 1
                yield f"row {number}", value
    except ArrowException as error:
        raise PromptError(f"{label} is not a Parquet file ({first_line(error)})") from error
    except OverflowError as error:
        # Arrow has days and times beyond Python's calendar, also inside a column of messages.
        raise PromptError(f"{label}, column {column!r} has a date that is no day of a calendar ({error})") from error


FORMATS: Mapping[str, ReadValues] = {
    ".jsonl": _jsonl_values,
    ".json": _json_values,
    ".csv": _csv_values,
    ".parquet": _parquet_values,
}


def require_format(name: str) -> ReadValues:
    """The reader of a file by the end of its name. PromptError where there is none."""
    suffix = PurePosixPath(name).suffix.lower()
    if suffix not in FORMATS:
        raise PromptError(f"dataset.path: {name} should end in {', '.join(FORMATS)}")
    return FORMATS[suffix]


def describe_value(value: object) -> str:
    """A JSON or Parquet value that is not as wanted, in words."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, int | float):
        return "a number"
    return {"list": "a list", "dict": "an object", "str": "text"}.get(type(value).__name__, type(value).__name__)


def _no_column(where: str, column: str, columns: list[str]) -> PromptError:
    if not columns:
        return PromptError(f"{where} has no column {column!r}: it has no columns at all")
    return PromptError(f"{where} has no column {column!r}; {name_choices(column, columns)}")

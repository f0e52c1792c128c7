"""Where the texts of prompts come from: one reader a source. Needs no tokenizer, and imports no torch.

A source is one entry of `_SOURCES`: what can be checked before anything is downloaded, and how its texts are read.
Every mistake of the user is a PromptError of one line.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, TypeVar

from llenergymeasure.config import DatasetConfig
from llenergymeasure.config.problems.text import nearest

BUILTIN = Path(__file__).with_name("data") / "prompts.jsonl"

Fetch = Callable[[str, str, str], Path]
"""(dataset name, commit, path inside the dataset) -> the file on this machine."""

Rows = Iterator[tuple[str, Any]]
"""(where, e.g. "line 3", and the value of the wanted column)."""

_Item = TypeVar("_Item")

_ReadRows = Callable[[BinaryIO, str, str], Rows]
"""(open file, its name for messages, column) -> its rows."""


class PromptError(Exception):
    """Prompts that can't be built; one line that says what to change."""


@dataclass(frozen=True)
class Texts:
    """`rows`: (kind, text) of each prompt, in order. `file_sha256`: of the file that held them. `places`: where each
    prompt stands, for messages."""

    rows: list[tuple[str, str]]
    file_sha256: str | None
    places: list[str]


def read_texts(dataset: DatasetConfig, n: int, seed: int, fetch: Fetch | None = None) -> Texts:
    """The texts of `n` prompts. A file and a hub dataset give their first `n` rows, the built-in prompts a selection.

    Raises:
        PromptError: the source does not have them, or is made of tokens and has no texts (synthetic).
    """
    source = _SOURCES[dataset.source]
    source.check(dataset)
    return source.read(dataset, n, seed, fetch or fetch_hub_file)


def check_dataset(dataset: DatasetConfig, n: int) -> None:
    """PromptError for everything that can be known about the prompts without a network or a tokenizer."""
    source = _SOURCES[dataset.source]
    source.check(dataset)
    if source.local:
        source.read(dataset, n, 0, fetch_hub_file)


def fetch_hub_file(name: str, revision: str, path: str) -> Path:
    """A file of a dataset repository at a commit, from the Hugging Face cache or, where it is not there, the hub.

    With HF_HUB_OFFLINE set (as in the process that measures) only the cache is asked.
    """
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import (
        GatedRepoError,
        HTTPError,
        LocalEntryNotFoundError,
        RemoteEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    where = f"dataset {name}@{revision[:12]}"
    try:
        return Path(hf_hub_download(name, path, repo_type="dataset", revision=revision))
    except GatedRepoError as error:
        raise PromptError(f"{where} is gated: accept its terms on the hub and set HF_TOKEN") from error
    except RevisionNotFoundError as error:
        raise PromptError(f"dataset {name} has no commit {revision}; check dataset.revision") from error
    except RepositoryNotFoundError as error:
        raise PromptError(f"there is no dataset {name} on the hub (or it is private: set HF_TOKEN)") from error
    except RemoteEntryNotFoundError as error:
        raise PromptError(f"{where} has no file {path}; check dataset.path") from error
    except LocalEntryNotFoundError as error:
        raise PromptError(f"{path} of {where} is not in the local cache and the hub can't be reached") from error
    except (HTTPError, OSError, ValueError) as error:
        reason = str(error).partition("\n")[0]
        raise PromptError(f"{path} of {where} can't be downloaded ({type(error).__name__}: {reason})") from error


# --- the sources ---------------------------------------------------------------------------------------------------


def _check_builtin(dataset: DatasetConfig) -> None:
    known = {row["kind"] for row in _builtin_prompts()[0]}
    for kind in dataset.kinds or []:
        if kind not in known:
            raise PromptError(f"dataset.kinds: there are no built-in prompts of kind {kind!r}; {_choice(kind, known)}")


def _read_builtin(dataset: DatasetConfig, n: int, seed: int, _: Fetch) -> Texts:
    prompts, sha256 = _builtin_prompts()
    kept = [row for row in prompts if dataset.kinds is None or row["kind"] in dataset.kinds]
    if n > len(kept):
        of_kinds = f" of kind {', '.join(dataset.kinds)}" if dataset.kinds else ""
        raise PromptError(f"n: {n} prompts asked for, but there are {len(kept)} built-in prompts{of_kinds}")
    chosen = list(islice(_mixed(kept, random.Random(seed)), n))
    places = [f"built-in prompt {row['id']}" for row in chosen]
    return Texts([(row["kind"], row["prompt"]) for row in chosen], sha256, places)


def _builtin_prompts() -> tuple[list[dict[str, str]], str]:
    """Rows {id, kind, prompt} of the built-in prompts, and the SHA-256 of their file."""
    data = BUILTIN.read_bytes()
    return [json.loads(line) for line in data.decode("utf-8").splitlines()], hashlib.sha256(data).hexdigest()


def _mixed(prompts: list[dict[str, str]], rng: random.Random) -> Iterator[dict[str, str]]:
    """All prompts in an order whose every beginning has kinds in equal parts (while they last) and short, middle and
    long ones of each kind.

    Only `rng.random()` is used: Python promises the same numbers from it on every version, and from `shuffle` not.
    """
    by_kind: dict[str, list[dict[str, str]]] = {}
    for row in sorted(prompts, key=lambda row: (row["kind"], len(row["prompt"]), row["id"])):
        by_kind.setdefault(row["kind"], []).append(row)
    queues = {kind: iter(_mixed_lengths(rows, rng)) for kind, rows in by_kind.items()}
    while queues:
        for kind in _shuffled(list(queues), rng):
            found = next(queues[kind], None)
            if found is None:
                del queues[kind]
            else:
                yield found


def _mixed_lengths(rows: list[dict[str, str]], rng: random.Random) -> list[dict[str, str]]:
    """`rows`, sorted by length, dealt out so that each three in a row are one short, one middle and one long one."""
    third = -(-len(rows) // 3)
    bands = [_shuffled(rows[start : start + third], rng) for start in range(0, len(rows), third)]
    rounds = ([band[i] for band in bands if i < len(band)] for i in range(third))
    return list(chain.from_iterable(_shuffled(each, rng) for each in rounds))


def _shuffled(items: list[_Item], rng: random.Random) -> list[_Item]:
    return sorted(items, key=lambda _: rng.random())


def _check_file(dataset: DatasetConfig) -> None:
    path = Path(_given(dataset, "path"))
    _given(dataset, "column")
    _row_reader(path.name, _LOCAL_FORMATS)
    if not path.is_file():
        what = "is not a file" if path.exists() else "does not exist"
        raise PromptError(f"dataset.path: {path} {what} (a relative path starts at {Path.cwd()})")


def _read_file(dataset: DatasetConfig, n: int, _: int, __: Fetch) -> Texts:
    path = Path(_given(dataset, "path"))
    return _first_rows(path, str(path), _given(dataset, "column"), n, kind="file")


def _check_hub(dataset: DatasetConfig) -> None:
    path = PurePosixPath(_given(dataset, "path"))
    for key in ("name", "revision", "column"):
        _given(dataset, key)
    _row_reader(path.name, _HUB_FORMATS)
    if path.is_absolute() or ".." in path.parts or "\\" in str(path):
        raise PromptError(f"dataset.path: {path} is not a path inside the dataset's repository")


def _read_hub(dataset: DatasetConfig, n: int, _: int, fetch: Fetch) -> Texts:
    name, path = _given(dataset, "name"), _given(dataset, "path")
    fetched = fetch(name, _given(dataset, "revision"), path)
    return _first_rows(fetched, f"{name}/{path}", _given(dataset, "column"), n, kind="hub")


def _check_synthetic(dataset: DatasetConfig) -> None:
    _given(dataset, "tokens")


def _read_synthetic(dataset: DatasetConfig, *_: object) -> Texts:
    raise PromptError(f"dataset.source: {dataset.source} prompts are made of a tokenizer's ids and have no texts")


@dataclass(frozen=True)
class _Source:
    check: Callable[[DatasetConfig], None]
    read: Callable[[DatasetConfig, int, int, Fetch], Texts]
    local: bool
    """Its texts can be read without a network."""


_SOURCES = {
    "builtin": _Source(_check_builtin, _read_builtin, local=True),
    "file": _Source(_check_file, _read_file, local=True),
    "synthetic": _Source(_check_synthetic, _read_synthetic, local=False),
    "hub": _Source(_check_hub, _read_hub, local=False),
}


def _given(dataset: DatasetConfig, key: str) -> Any:
    value = getattr(dataset, key)
    if value is None:
        raise PromptError(f"dataset.{key}: needed by dataset.source: {dataset.source}")
    return value


# --- files of rows -------------------------------------------------------------------------------------------------


def _first_rows(path: Path, label: str, column: str, n: int, *, kind: str) -> Texts:
    """The first `n` values of a column. The file is opened once, so its digest is of the bytes that were read."""
    read_rows = _row_reader(label, _HUB_FORMATS)
    try:
        with path.open("rb") as data:
            sha256 = hashlib.file_digest(data, "sha256").hexdigest()
            data.seek(0)
            values = list(islice(read_rows(data, label, column), n))
    except UnicodeDecodeError as error:
        raise PromptError(f"{label} is not UTF-8 text ({error.reason} at byte {error.start})") from error
    except OSError as error:
        raise PromptError(f"{label} can't be read ({error.strerror or error})") from error
    for where, value in values:
        if not isinstance(value, str):
            raise PromptError(f"{label}, {where}: column {column!r} holds {_named(value)}, not text")
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
                raise PromptError(f"{label}, line {number} is {_named(row)}, not a JSON object")
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
        raise PromptError(f"{label} is not a Parquet file ({str(error).partition(chr(10))[0]})") from error


_LOCAL_FORMATS: dict[str, _ReadRows] = {".jsonl": _jsonl_rows, ".csv": _csv_rows}
_HUB_FORMATS: dict[str, _ReadRows] = {**_LOCAL_FORMATS, ".parquet": _parquet_rows}


def _row_reader(name: str, formats: dict[str, _ReadRows]) -> _ReadRows:
    suffix = PurePosixPath(name).suffix.lower()
    if suffix not in formats:
        raise PromptError(f"dataset.path: {name} should end in {', '.join(formats)}")
    return formats[suffix]


def _no_column(where: str, column: str, columns: list[str]) -> PromptError:
    if not columns:
        return PromptError(f"{where} has no column {column!r}: it has no columns at all")
    return PromptError(f"{where} has no column {column!r}; {_choice(column, columns)}")


def _choice(word: str, known: set[str] | list[str]) -> str:
    """The names there are, after the one that was probably meant."""
    near = nearest(word, sorted(known))
    names = f"there are: {', '.join(known if isinstance(known, list) else sorted(known))}"
    return f"did you mean {near!r}? ({names})" if near else names


def _named(value: object) -> str:
    """A JSON or Parquet value that is no text, in words."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, int | float):
        return "a number"
    return {"list": "a list", "dict": "an object", "str": "a string"}.get(type(value).__name__, type(value).__name__)

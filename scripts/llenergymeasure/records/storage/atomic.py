"""Files that appear whole or not at all: written beside their place under another name, then renamed."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A temporary sibling to write to, which takes the file's name only when everything went well.

    Its name is this process's own, so that jobs on several machines may write the same file at once.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{platform.node()}.{os.getpid()}.tmp")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_bytes(content: bytes, path: Path) -> None:
    with whole(path) as temporary:
        temporary.write_bytes(content)


def write_text(text: str, path: Path) -> None:
    write_bytes(text.encode("utf-8"), path)


def write_json(record: Mapping[str, Any], path: Path) -> None:
    """ValueError for a number that JSON does not know, like NaN."""
    write_text(json.dumps(record, indent=1, allow_nan=False) + "\n", path)

"""The tensors of a folder's safetensors files, from their headers alone. Imports no torch."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from llenergymeasure.models.errors import SnapshotError
from llenergymeasure.models.files import list_folder

_LARGEST_HEADER = 100_000_000  # bytes; what the safetensors library itself accepts


def stored_tensors(folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Name and entry of each tensor: `dtype`, `shape` and `data_offsets` (bytes).

    SnapshotError where a file has no readable header.
    """
    for file in list_folder(folder):
        if not file.endswith(".safetensors"):
            continue
        path = folder / file
        header, _ = _header(path, str(path))
        for name, tensor in header.items():
            if name != "__metadata__":
                yield name, tensor


def check_whole(path: Path, name: str) -> None:
    """SnapshotError unless the file is as long as its header says. name: the file, for the message"""
    header, length = _header(path, name)
    try:
        ends = [tensor["data_offsets"][1] for key, tensor in header.items() if key != "__metadata__"]
        expected = length + max(ends, default=0)
    except (KeyError, IndexError, TypeError) as error:
        raise SnapshotError(f"{name} is not a safetensors file: its header is wrong; download it again") from error
    size = path.stat().st_size
    if size != expected:
        raise SnapshotError(f"{name} has {size} of {expected} bytes: the download is not finished; download it again")


def _header(path: Path, name: str) -> tuple[dict[str, Any], int]:
    """The header, and how many bytes come before the data."""
    with path.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        try:
            header = json.loads(stream.read(length)) if length <= _LARGEST_HEADER else None
        except (ValueError, RecursionError):
            header = None
    if not isinstance(header, dict):
        raise SnapshotError(f"{name} is not a safetensors file: its header cannot be read; download it again")
    return header, 8 + length

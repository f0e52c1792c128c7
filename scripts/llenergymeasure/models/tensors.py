"""The tensors of a folder's safetensors files, from their headers alone. Imports no torch."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from llenergymeasure.models.errors import SnapshotError

_LARGEST_HEADER = 100_000_000  # bytes; what the safetensors library itself accepts


def stored_tensors(folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Name and entry of each tensor: `dtype`, `shape` and `data_offsets` (bytes).

    SnapshotError where a file has no readable header.
    """
    for path in sorted(folder.glob("*.safetensors")):
        for name, tensor in _header(path).items():
            if name != "__metadata__":
                yield name, tensor


def _header(path: Path) -> dict[str, Any]:
    with path.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        try:
            header = json.loads(stream.read(length)) if length <= _LARGEST_HEADER else None
        except ValueError:
            header = None
    if not isinstance(header, dict):
        raise SnapshotError(f"{path} is not a safetensors file: its header cannot be read; download it again")
    return header

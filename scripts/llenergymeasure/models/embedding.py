"""How many token ids a snapshot's embedding has rows for, from its files alone. Imports no torch."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from llenergymeasure.models.errors import SnapshotError

# The last part of the embedding's name in the architectures that transformers has.
_NAME = re.compile(
    r"(?:.*\.)?(?:embed_tokens|wte|embed_in|word_embeddings|embeddings|tok_embeddings|embedding)\.weight"
)
_LARGEST_HEADER = 100_000_000  # bytes; what the safetensors library itself accepts


def embedding_rows(snapshot: Path) -> int | None:
    """Rows of the token embedding: as the weights have them, else as config.json says; None where neither says.

    SnapshotError where a weights file has no readable header.
    """
    stated = _stated(snapshot)
    rows = [shape[0] for name, shape in _shapes(snapshot) if len(shape) == 2 and _NAME.fullmatch(name)]
    # Models that also see or hear have embeddings of other things, too.
    return stated if stated in rows or not rows else max(rows)


def _stated(snapshot: Path) -> int | None:
    try:
        config = json.loads((snapshot / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    for part in (config.get("text_config"), config):
        if isinstance(part, dict) and isinstance(part.get("vocab_size"), int):
            return int(part["vocab_size"])
    return None


def _shapes(snapshot: Path) -> Iterator[tuple[str, list[int]]]:
    for path in sorted(snapshot.glob("*.safetensors")):
        for name, tensor in _header(path).items():
            if name != "__metadata__":
                yield name, tensor["shape"]


def _header(path: Path) -> dict[str, Any]:
    with path.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        try:
            header = json.loads(stream.read(length)) if length <= _LARGEST_HEADER else None
        except ValueError:
            header = None
    if not isinstance(header, dict):
        raise SnapshotError(f"{path} is not a safetensors file: its header can't be read; download it again")
    return header

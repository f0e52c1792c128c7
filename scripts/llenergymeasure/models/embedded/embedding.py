"""The number of rows of a snapshot's token embedding, from its files alone. Imports no torch."""

from __future__ import annotations

import json
import re
from pathlib import Path

from llenergymeasure.models.tensors import stored_tensors

# The last part of the embedding's name in the architectures that transformers has.
_NAME = re.compile(
    r"(?:.*\.)?(?:embed_tokens|wte|embed_in|word_embeddings|embeddings|tok_embeddings|embedding)\.weight"
)


def embedding_rows(snapshot: Path) -> int | None:
    """Rows of the token embedding: as the weights have them, else as config.json says; None where neither says.

    SnapshotError where a weights file has no readable header.
    """
    stated = _stated(snapshot)
    shapes = [tensor["shape"] for name, tensor in stored_tensors(snapshot) if _NAME.fullmatch(name)]
    rows = [shape[0] for shape in shapes if len(shape) == 2]
    # Models that also read images or sound have embeddings of these, too.
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

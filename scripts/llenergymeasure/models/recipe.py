"""Everything that decides what is in a snapshot, as plain values: the key of Snakemake's between-workflow cache."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path
from typing import Any

from llenergymeasure.config.lock import read_lock
from llenergymeasure.config.model_ref import ModelRef, parse_model_ref
from llenergymeasure.models.snapshot import SCHEMA_VERSION

# Libraries whose code writes the weights of a model that is made here instead of downloaded.
_MAKERS = ("torch", "transformers")


def recipe_of(model: str, revision: str | None, lock_path: Path) -> dict[str, Any]:
    """Model, revision, pinned file hashes, and for models made here the versions of what makes them."""
    ref = parse_model_ref(model)
    return {
        "model": ref.text,
        "canonical": ref.canonical,
        "revision": revision,
        "files": _pinned_files(ref, revision, lock_path),
        "made_with": {} if ref.kind == "hub" else {name: importlib.metadata.version(name) for name in _MAKERS},
        "snapshot_schema": SCHEMA_VERSION,
    }


def _pinned_files(ref: ModelRef, revision: str | None, lock_path: Path) -> dict[str, str]:
    if ref.kind != "hub" or revision is None:
        return {}
    pinned = read_lock(lock_path).files(ref.name, revision) or {}
    return {path: file.sha256 for path, file in sorted(pinned.items())}

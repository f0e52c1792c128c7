"""Everything that decides what is in a snapshot, as plain values: the key of Snakemake's between-workflow cache."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from llenergymeasure.config.settings.model_ref import ModelRef, parse_model_ref
from llenergymeasure.config.study.lock import read_lock
from llenergymeasure.models.snapshot import SNAPSHOT_SCHEMA


def model_recipe(
    model: str, revision: str | None, lock_path: Path, *, is_adapter: bool = False, content: str | None = None
) -> dict[str, Any]:
    """Model, revision and pinned file hashes. The snapshot itself is recorded by its content digest.

    content: of a model in a folder, the digest of its files
    """
    ref = parse_model_ref(model)
    return {
        **({"is_adapter": True} if is_adapter else {}),
        **({} if content is None else {"content": content}),
        "model": ref.text,
        "canonical": ref.canonical,
        "revision": revision,
        "files": _pinned_files(ref, revision, lock_path),
        "snapshot_schema": SNAPSHOT_SCHEMA,
    }


def _pinned_files(ref: ModelRef, revision: str | None, lock_path: Path) -> dict[str, str]:
    if ref.kind != "hub" or revision is None:
        return {}
    pinned = read_lock(lock_path).files(ref.name, revision) or {}
    return {path: file.sha256 for path, file in sorted(pinned.items())}

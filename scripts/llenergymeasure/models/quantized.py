"""Quantized weights as an artifact: a snapshot whose record names the source weights, the libraries and the cost.

Where the weights cannot be kept, the artifact exists anyway: it says why, and holds no files.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from llenergymeasure.models.files import hash_folder
from llenergymeasure.models.snapshot import Snapshot, publish

SOURCE = "quantized"


def empty_folder(destination: Path) -> Path:
    """Where the artifact is assembled: a hidden sibling that cannot be mistaken for a result."""
    work = destination.with_name(f".{destination.name}.partial")
    if work.exists():
        shutil.rmtree(work)
    work.mkdir(parents=True)
    return work


def publish_quantized(base: Snapshot, work: Path, destination: Path, notes: Mapping[str, Any]) -> Snapshot:
    """Put the artifact in `work`, made of the weights of `base`, at its place."""
    made_of = {"model_digest": base.content_digest}
    artifact = Snapshot(
        destination, SOURCE, base.model, base.revision, base.code_allowed, hash_folder(work), {**made_of, **notes}
    )
    publish(artifact, work)
    return artifact


def publish_refusal(base: Snapshot, destination: Path, reason: str) -> Snapshot:
    """An artifact without weights: each process quantizes for itself, for that reason."""
    return publish_quantized(base, empty_folder(destination), destination, {"refused": reason})


def why_unusable(artifact: Snapshot, base: Snapshot, made_with: Mapping[str, Any]) -> str | None:
    """Why a process that loads `base` may not read these weights; None where it may.

    made_with: this process's libraries and kind of device, as `engine.quantized.made_with`
    """
    if "refused" in artifact.notes:
        return str(artifact.notes["refused"])
    if artifact.notes["model_digest"] != base.content_digest:
        return f"{artifact.path.name} was made of other weights of the same model"
    then = artifact.notes["made_with"]
    changed = [f"{name} {then.get(name)}, here {now}" for name, now in made_with.items() if then.get(name) != now]
    return f"{artifact.path.name} was made with {'; '.join(changed)}" if changed else None

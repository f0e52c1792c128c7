"""Where a load reads from: the snapshots, or weights that were quantized before, and why."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from llenergymeasure.config import ExperimentConfig
from llenergymeasure.config.settings.quantization_key import is_quantized, why_not_kept
from llenergymeasure.engine.loading.load import Source, Sources
from llenergymeasure.engine.loading.quantized import made_with
from llenergymeasure.models.quantized import why_unusable
from llenergymeasure.models.snapshot import Snapshot, read_snapshot


@dataclass(frozen=True)
class QuantizedWeights:
    """Where a load's quantized weights come from: an artifact, or this process, for a reason."""

    asked: bool
    artifact: Snapshot | None = None
    reason: str | None = None

    @property
    def folder(self) -> Path | None:
        return None if self.artifact is None else self.artifact.path

    @property
    def in_words(self) -> str | None:
        used = self.artifact
        return None if used is None else f"{used.path.name} (content {used.content_digest[:12]})"

    def to_dict(self) -> dict[str, Any] | None:
        """For the records; None for a load that quantizes nothing. `cost` compares quantizing with reading."""
        if not self.asked:
            return None
        used = self.artifact
        return {
            "read_from": None if used is None else used.path.name,
            "content_digest": None if used is None else used.content_digest,
            "reason": self.reason,
            "cost": None if used is None else used.notes["cost"],
        }


NOTHING_QUANTIZED = QuantizedWeights(asked=False)


def choose_weights(intent: ExperimentConfig, base: Snapshot, folder: str | None) -> QuantizedWeights:
    """The artifact in `folder`, where it is of these weights and was made with these libraries on such a device."""
    if not is_quantized(intent):
        return NOTHING_QUANTIZED
    reason = why_not_kept(intent)
    if reason is None and folder is None:
        reason = "none were kept for this setup"
    if reason is None and folder is not None:
        artifact = read_snapshot(Path(folder))
        reason = why_unusable(artifact, base, made_with())
        if reason is None:
            return QuantizedWeights(asked=True, artifact=artifact)
    print(f"weights are quantized in this process: {reason}", file=sys.stderr, flush=True)
    return QuantizedWeights(asked=True, reason=reason)


def sources_from_snapshots(
    snapshots: Mapping[str, Snapshot], intent: ExperimentConfig, *, quantized: Path | None
) -> Sources:
    """What to load, by role.

    quantized: folder with the model's weights as they were quantized before; None to read those of its snapshot
    """
    sources = {
        role: Source(snapshot.path, has_code=snapshot.may_run_code(intent.pytorch.trust_remote_code))
        for role, snapshot in snapshots.items()
    }
    sources["model"] = replace(sources["model"], quantized=quantized)
    return Sources(**sources)

"""What is known of a model before its snapshot is made: configuration and headers of files that are here already."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llenergymeasure.config.settings.model_ref import ModelRef
from llenergymeasure.models.errors import SnapshotError
from llenergymeasure.models.files import RECORD
from llenergymeasure.models.folder import find_folder
from llenergymeasure.models.memory.experiment import read_model_config
from llenergymeasure.models.tensors import stored_tensors


@dataclass(frozen=True)
class ModelAtHand:
    """config: the library's; tensors: name and entry of each tensor of the weights, as `stored_tensors` gives them"""

    config: Any
    tensors: Sequence[tuple[str, Mapping[str, Any]]]


def model_at_hand(ref: ModelRef, revision: str | None, snapshots: Path) -> ModelAtHand | None:
    """The model of a folder, of a snapshot below `snapshots`, or one that is drawn at random; None for any other."""
    if ref.kind == "random":
        return _random(ref)
    snapshot = snapshots / ref.key(revision)
    if ref.kind != "folder" and not (snapshot / RECORD).is_file():
        return None
    try:
        folder = snapshot if (snapshot / RECORD).is_file() else find_folder(ref)
        config = read_model_config(folder)
        tensors = tuple(stored_tensors(folder))
    except (OSError, SnapshotError):
        return None
    return ModelAtHand(config, tensors) if config is not None and tensors else None


def _random(ref: ModelRef) -> ModelAtHand | None:
    from llenergymeasure.models.embedded.random import empty_model

    try:
        model = empty_model(ref)
    except Exception:  # noqa: BLE001 - making the model says it better
        return None
    return ModelAtHand(model.config, parameter_entries(model))


def parameter_entries(model: Any) -> tuple[tuple[str, Mapping[str, Any]], ...]:
    """Name and entry of each parameter, as `stored_tensors` gives them for the files of such a model."""
    names = {"torch.float32": ("F32", 4), "torch.bfloat16": ("BF16", 2), "torch.float16": ("F16", 2)}
    tensors = []
    for name, parameter in model.named_parameters():
        dtype, size = names.get(str(parameter.dtype), ("F32", 4))
        entry = {"dtype": dtype, "shape": [*parameter.shape], "data_offsets": [0, parameter.numel() * size]}
        tensors.append((name, entry))
    return tuple(tensors)

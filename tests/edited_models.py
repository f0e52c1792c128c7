"""Tiny models as people have them: files of a random model with something missing, wrong or added."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from harness import TINY
from safetensors.torch import load_file, save_file

from llenergymeasure.config.settings.model_ref import parse_model_ref
from llenergymeasure.config.study.lock import ModelsLock
from llenergymeasure.models.snapshot import materialise


def model_folder(folder: Path, model: str = TINY, **files: Mapping[str, Any]) -> Path:
    """A model's files in a plain folder. `generation_config={...}`: fields that are added to generation_config.json."""
    snapshot = materialise(parse_model_ref(model), None, folder.with_name(folder.name + "-made"), lock=ModelsLock())
    folder.mkdir()
    for name in snapshot.files:
        shutil.copyfile(snapshot.path / name, folder / name)
    for name, fields in files.items():
        path = folder / f"{name}.json"
        held = json.loads(path.read_text(encoding="utf-8"))
        path.write_text(json.dumps({**held, **fields}), encoding="utf-8")
    return folder


def rewrite(weights: Path, change: Any) -> None:
    """Write a safetensors file with `change(tensors)` in place of its tensors."""
    save_file(change(load_file(weights)), weights, metadata={"format": "pt"})


def without(pattern: str) -> Any:
    """For `rewrite`: the tensors whose names do not match."""
    return lambda tensors: {name: tensor for name, tensor in tensors.items() if not re.search(pattern, name)}


def filled(pattern: str, value: float) -> Any:
    """For `rewrite`: the first element of the tensors whose names match has this value."""

    def change(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        for name, tensor in tensors.items():
            if re.search(pattern, name):
                tensor.view(-1)[0] = value
        return tensors

    return change

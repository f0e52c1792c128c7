"""What is known of a model without a network and without loading it: its configuration, its tensors, its files."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from llenergymeasure.config.settings.model_ref import ModelRef
from llenergymeasure.config.settings.sources import SourceIntent
from llenergymeasure.config.study.lock import ModelsLock
from llenergymeasure.models.at_hand import parameter_entries
from llenergymeasure.models.embedded.distribution import find_entry
from llenergymeasure.models.errors import SnapshotError
from llenergymeasure.models.folder import find_folder
from llenergymeasure.models.memory.experiment import read_model_config
from llenergymeasure.models.tensors import stored_tensors

Tensors = tuple[tuple[str, Mapping[str, Any]], ...]


@dataclass(frozen=True)
class ModelFacts:
    """config: of transformers, None where it is not on this machine or cannot be read; tensors: None likewise

    download_bytes: still to fetch from a hub; disk_bytes: that its snapshot will take in addition to what is there.
    Each is None where it is not known, for the reason in `unknown`.
    """

    name: str
    config: Any | None
    tensors: Tensors | None
    download_bytes: int | None
    disk_bytes: int | None
    unknown: str | None = None

    @cached_property
    def layers(self) -> int:
        return int(getattr(self.config.get_text_config(decoder=True), "num_hidden_layers", 0)) if self.config else 0


def facts_of_source(source: SourceIntent, snapshot: Path, lock: ModelsLock) -> ModelFacts:
    """snapshot: where its snapshot is, or will be"""
    if source.role != "model":
        return _facts_of_companion(source, snapshot, lock)
    if snapshot.is_dir():
        return _facts_in_folder(source.name, snapshot, download=0, disk=0)
    kind = source.ref.kind
    try:
        if kind == "folder":
            # Its snapshot links to the files.
            return _facts_in_folder(source.name, find_folder(source.ref), download=0, disk=0)
        if kind == "hub":
            return _facts_in_lock(source, lock)
        return _facts_of_package(source) if kind == "package" else _facts_of_random(source.ref)
    except (SnapshotError, OSError, ValueError) as error:
        return ModelFacts(source.name, None, None, None, None, f"it cannot be read: {error}")


def _facts_of_companion(source: SourceIntent, snapshot: Path, lock: ModelsLock) -> ModelFacts:
    """An adapter or a draft model: only its files count."""
    unknown = "how much time its drafts save" if source.role == "assistant" else None
    files = lock.files(source.name, source.revision or "") if source.ref.kind == "hub" else None
    size = 0 if snapshot.is_dir() or files is None else sum(file.size for file in files.values())
    return ModelFacts(source.name, None, None, size, size, unknown)


def _facts_in_folder(name: str, folder: Path, *, download: int, disk: int) -> ModelFacts:
    config = read_model_config(folder)
    unknown = None if config is not None else "the installed transformers does not know its architecture"
    return ModelFacts(name, config, tuple(stored_tensors(folder)), download, disk, unknown)


def _facts_in_lock(source: SourceIntent, lock: ModelsLock) -> ModelFacts:
    """A model without a snapshot: the lock has the size of each file, and the Hugging Face cache perhaps the files."""
    from llenergymeasure.models.hub.cache import cached_file, snapshot_folder

    files = lock.files(source.name, source.revision or "")
    if files is None:
        return ModelFacts(source.name, None, None, None, None, "the lock has no sizes of its files: run snakemake pin")
    commit = str(source.revision)
    missing = sum(file.size for path, file in files.items() if cached_file(source.name, commit, path) is None)
    if missing == 0:
        return _facts_in_folder(source.name, snapshot_folder(source.name, commit), download=0, disk=0)
    weights = sum(file.size for name, file in files.items() if name.endswith(".safetensors"))
    tensors: Tensors = (("all", {"dtype": "U8", "shape": [weights], "data_offsets": [0, weights]}),)
    unknown = "its configuration is still on the hub"
    return ModelFacts(source.name, None, tensors, missing, sum(file.size for file in files.values()), unknown)


def _facts_of_package(source: SourceIntent) -> ModelFacts:
    from gguf import GGUFReader
    from transformers import AutoConfig

    entry = find_entry(source.ref.distribution, str(source.revision), source.ref.file)
    path = Path(str(entry.locate()))
    config = AutoConfig.from_pretrained(path.parent, gguf_file=path.name)
    shapes = {str(tensor.name): [int(size) for size in tensor.shape] for tensor in GGUFReader(path).tensors}
    tensors = _in_float32(shapes)
    # The snapshot holds the weights dequantised.
    return ModelFacts(source.name, config, tensors, 0, sum(entry["data_offsets"][1] for _, entry in tensors))


def _facts_of_random(ref: ModelRef) -> ModelFacts:
    from llenergymeasure.models.embedded.random import empty_model

    model = empty_model(ref)
    tensors = parameter_entries(model)
    return ModelFacts(ref.text, model.config, tensors, 0, sum(entry["data_offsets"][1] for _, entry in tensors))


def _in_float32(shapes: Mapping[str, list[int]]) -> Tensors:
    """Entries as a safetensors header has them, for weights of those shapes."""
    entries = []
    for name, shape in shapes.items():
        entries.append((name, {"dtype": "F32", "shape": shape, "data_offsets": [0, 4 * math.prod(shape)]}))
    return tuple(entries)

"""Whether the files that a snapshot takes are whole and enough, before anything loads them. Imports no torch."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from llenergymeasure.models.errors import SnapshotError
from llenergymeasure.models.files import is_lfs_pointer, lfs_pointer, read_object, read_small, unreadable
from llenergymeasure.models.selection import ADAPTER_FILES
from llenergymeasure.models.tensors import check_whole
from llenergymeasure.models.tokenizer_files import TOKENIZER_FILES, has_tokenizer

# File → its keys whose values must be objects: transformers fails on anything else with an error that names no file.
_JSON: Mapping[str, tuple[str, ...]] = {
    "config.json": ("quantization_config", "text_config"),
    "tokenizer_config.json": (),
    "tokenizer.json": (),
}
_BEGINNING = 64


def check_names(paths: Collection[str], *, model: str) -> None:
    """SnapshotError unless a config and a tokenizer are among the files, and no adapter lies over the weights."""
    if "config.json" not in paths:
        raise SnapshotError(f"{model} has no config.json; it is not a transformers model")
    if not has_tokenizer(paths):
        raise SnapshotError(
            f"{model} has no tokenizer ({', '.join(TOKENIZER_FILES[:3])} …); model and tokenizer come from one snapshot"
        )
    if ADAPTER_FILES[0] in paths:
        raise SnapshotError(
            f"{model} has an {ADAPTER_FILES[0]} beside its weights, so transformers would load an adapter over them; "
            "remove that file from the folder, and name an adapter that you want as pytorch.adapter"
        )


def check_complete(folder: Path, paths: Collection[str], *, model: str, is_adapter: bool = False) -> None:
    """SnapshotError unless `folder` holds a whole model (or adapter) in the files `paths`, as `selection` chose them.

    Reads the beginning of each file and the headers of the weights, not the weights.
    """
    if not is_adapter:
        check_names(paths, model=model)
    for path in sorted(paths):
        _check_beginning(folder / path, path, model)
    for path, keys in _JSON.items():
        if path in paths:
            _check_objects(read_object(read_small(folder / path, path, model), path, model), keys, path, model)
    for path in sorted(paths):
        if path.endswith(".safetensors"):
            check_whole(folder / path, f"{model}: {path}")


def check_code(folder: Path, paths: Collection[str], *, model: str) -> None:
    """SnapshotError when the model's code would come from another repository, where nothing pins it."""
    for name in ("config.json", "tokenizer_config.json"):
        if name not in paths:
            continue
        for target in _strings(read_object(read_small(folder / name, name, model), name, model).get("auto_map")):
            if "--" in target:
                raise SnapshotError(
                    f"{model}: {name} takes code from another repository ({target}), which the lock does not pin"
                )


def _check_objects(fields: Mapping[str, Any], keys: Iterable[str], name: str, model: str) -> None:
    for key in keys:
        if not isinstance(fields.get(key), dict | None):
            raise SnapshotError(
                f"{model}: {name} has {key}: {fields[key]!r:.60}, but transformers reads an object with keys there; "
                "correct it, or use another model"
            )


def _check_beginning(path: Path, name: str, model: str) -> None:
    try:
        with path.open("rb") as stream:
            beginning = stream.read(_BEGINNING)
    except OSError as error:
        raise SnapshotError(unreadable(path, name, model, error)) from error
    if is_lfs_pointer(beginning):
        raise SnapshotError(lfs_pointer(name, model))


def _strings(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [text for child in children for text in _strings(child)]

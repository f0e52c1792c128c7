"""The files of a model: which ones are taken, how they are hashed, which ones are required."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from llenergymeasure.config.settings.model_ref import safe_relative_path
from llenergymeasure.config.study.lock import FileHash
from llenergymeasure.models.errors import SnapshotError

# The record of a snapshot. It is not copied from a model that is a snapshot itself.
RECORD = "snapshot.json"
SINGLE_WEIGHTS = "model.safetensors"
ADAPTER_FILES = ("adapter_config.json", "adapter_model.safetensors")
WEIGHTS_INDEX = "model.safetensors.index.json"
_SHARD = re.compile(r"(?!consolidated)[^/]+-\d{5}-of-\d{5}\.safetensors")
_PICKLE = re.compile(r".*\.(bin|pt|pth|ckpt)")
_SMALL = re.compile(r"[^/]+\.(json|model|txt|jinja|tiktoken)|additional_chat_templates/[^/]+\.jinja")
_TOKENIZERS = ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt", "spiece.model", "tekken.json")


def select_for(request: Any, paths: Iterable[str]) -> list[str]:
    """The files that a request takes: a model's, or an adapter's."""
    if request.is_adapter:
        return select_adapter(paths, model=request.ref.text)
    return select(paths, model=request.ref.text, allow_code=request.allow_code)


def select_adapter(paths: Iterable[str], *, model: str) -> list[str]:
    """The two files of a LoRA adapter. SnapshotError when one is missing; pickled weights do not count."""
    missing = [name for name in ADAPTER_FILES if name not in set(paths)]
    if missing:
        raise SnapshotError(f"{model} has no {missing[0]}; it is not a LoRA adapter with safetensors weights")
    return list(ADAPTER_FILES)


def select(paths: Iterable[str], *, model: str, allow_code: bool) -> list[str]:
    """The files of a repository or folder that a snapshot takes, small ones first.

    Weights are exactly what transformers would load: `model.safetensors`, else the numbered shards. Other
    variants (fp16 copies, `consolidated.*`, onnx/, original/) would only cost disk. Pickled weights can run
    code when loaded and are never taken. SnapshotError when there are no safetensors or a path is unsafe.
    """
    paths = list(paths)
    for path in paths:
        if not safe_relative_path(path):
            raise SnapshotError(f"{model}: refuses the file name {path!r}, which leads out of the model's folder")
    weights = [path for path in paths if path == SINGLE_WEIGHTS]
    if not weights:
        weights = [path for path in paths if _SHARD.fullmatch(path)]
    if not weights:
        pickles = sorted(path for path in paths if _PICKLE.fullmatch(path))
        if pickles:
            raise SnapshotError(
                f"{model} has only pickled weights ({pickles[0]}), which can run code when loaded; "
                "choose a revision or model with .safetensors files, or convert it"
            )
        raise SnapshotError(f"{model} has no weights ({SINGLE_WEIGHTS} or numbered shards)")
    unused_index = WEIGHTS_INDEX if weights == [SINGLE_WEIGHTS] else ""
    small = [
        path
        for path in paths
        if _SMALL.fullmatch(path) and path not in (unused_index, RECORD) and not path.endswith(".bin.index.json")
    ]
    code = code_files(paths) if allow_code else []
    return [*sorted(small), *sorted(code), *sorted(weights)]


def code_files(paths: Iterable[str]) -> list[str]:
    return sorted(path for path in paths if path.endswith(".py"))


def hash_file(path: Path) -> FileHash:
    """SHA-256 and size of a file. OSError when it cannot be read."""
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
        return FileHash(sha256=digest, size=stream.tell())


def content_digest(hashes: Mapping[str, str]) -> str:
    """SHA-256 over the sorted paths and the files' SHA-256: equal digests mean equal files, whatever the source."""
    lines = "".join(f"{path}\0{hashes[path]}\n" for path in sorted(hashes))
    return hashlib.sha256(lines.encode()).hexdigest()


def git_blob_id(path: Path) -> str:
    """The id git, and so the hub, gives a file: SHA-1 over `blob <size>\\0` and the content."""
    content = path.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def list_folder(folder: Path) -> list[str]:
    """Every file below `folder`, sorted. Follows links: Snakemake's cache makes a snapshot of them."""
    files = (Path(root, name) for root, _, names in os.walk(folder, followlinks=True) for name in names)
    return sorted(path.relative_to(folder).as_posix() for path in files)


def hash_folder(folder: Path) -> dict[str, FileHash]:
    """Hashes of every file below `folder`, by path."""
    return {path: hash_file(folder / path) for path in list_folder(folder)}


def check_complete(folder: Path, paths: Collection[str], *, model: str) -> None:
    """SnapshotError unless `folder` holds config, tokenizer and every shard that the index names."""
    if "config.json" not in paths:
        raise SnapshotError(f"{model} has no config.json; it is not a transformers model")
    if not any(name in paths for name in _TOKENIZERS) and not any(p.endswith(".tiktoken") for p in paths):
        raise SnapshotError(
            f"{model} has no tokenizer ({', '.join(_TOKENIZERS[:3])} …); model and tokenizer come from one snapshot"
        )
    if ADAPTER_FILES[0] in paths:
        raise SnapshotError(
            f"{model} has an {ADAPTER_FILES[0]} beside its weights, so transformers would load an adapter over them; "
            "remove that file from the folder, and name an adapter that you want as pytorch.adapter"
        )
    _read_object(folder / "config.json", model)
    if WEIGHTS_INDEX in paths:
        weight_map = _read_object(folder / WEIGHTS_INDEX, model).get("weight_map")
        if not isinstance(weight_map, dict):
            raise SnapshotError(f"{model}: {WEIGHTS_INDEX} has no weight_map")
        missing = sorted({str(shard) for shard in weight_map.values()} - set(paths))
        if missing:
            raise SnapshotError(f"{model}: {WEIGHTS_INDEX} names {missing[0]}, which does not exist")
    elif SINGLE_WEIGHTS not in paths:
        raise SnapshotError(f"{model}: numbered shards need a {WEIGHTS_INDEX}, which does not exist")


def check_code(folder: Path, paths: Collection[str], *, model: str) -> None:
    """SnapshotError when the model's code would come from another repository, where nothing pins it."""
    for name in ("config.json", "tokenizer_config.json"):
        if name not in paths:
            continue
        for target in _strings(_read_object(folder / name, model).get("auto_map")):
            if "--" in target:
                raise SnapshotError(
                    f"{model}: {name} takes code from another repository ({target}), which the lock does not pin"
                )


def _strings(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [text for child in children for text in _strings(child)]


def _read_object(path: Path, model: str) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SnapshotError(f"{model}: {path.name} is not readable JSON") from error
    if not isinstance(content, dict):
        raise SnapshotError(f"{model}: {path.name} is not a JSON object")
    return content

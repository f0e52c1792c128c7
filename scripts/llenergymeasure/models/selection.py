"""Which files of a repository or folder a snapshot takes. The index of the weights decides, not the names of files."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Any

from llenergymeasure.config.problems.text import first_few
from llenergymeasure.config.settings.model_ref import safe_relative_path
from llenergymeasure.models.errors import SnapshotError
from llenergymeasure.models.files import RECORD, read_object

SINGLE_WEIGHTS = "model.safetensors"
WEIGHTS_INDEX = "model.safetensors.index.json"
ADAPTER_FILES = ("adapter_config.json", "adapter_model.safetensors")
_SMALL = re.compile(r"[^/]+\.(json|model|txt|jinja|tiktoken)|additional_chat_templates/[^/]+\.jinja")
_SHARD = re.compile(r"[^/]+-\d+-of-\d+\.safetensors")
_PICKLE = re.compile(r"[^/]+\.(bin|pt|pth|ckpt)")
_OTHER_FRAMEWORK = re.compile(r"[^/]+\.(h5|msgpack|onnx|ot|npz)|onnx/.*\.onnx")

Read = Callable[[str], bytes]
"""Content of a file by its path in the repository. SnapshotError where it cannot be read."""


@dataclass(frozen=True)
class Weights:
    """index: the file that names the shards; None where there is one weights file."""

    files: tuple[str, ...]
    index: str | None = None


def select_for(request: Any, paths: Iterable[str], read: Read) -> list[str]:
    """The files that a request takes: a model's, or an adapter's."""
    if request.is_adapter:
        return select_adapter(paths, model=request.ref.text)
    return select(paths, model=request.ref.text, allow_code=request.allow_code, read=read)


def select_adapter(paths: Iterable[str], *, model: str) -> list[str]:
    """The two files of a LoRA adapter. SnapshotError when one is missing; pickled weights do not count."""
    missing = [name for name in ADAPTER_FILES if name not in set(paths)]
    if missing:
        raise SnapshotError(f"{model} has no {missing[0]}; it is not a LoRA adapter with safetensors weights")
    return list(ADAPTER_FILES)


def select(paths: Iterable[str], *, model: str, allow_code: bool, read: Read) -> list[str]:
    """The files of a repository or folder that a snapshot takes, small ones first.

    Other variants of the weights (fp16 copies, `consolidated.*`, onnx/, original/) would only cost disk. Pickled
    weights can run code when loaded and are never taken. A name that could lead out of the folder is never taken.
    SnapshotError where there are no safetensors weights.
    """
    present = {path for path in paths if safe_relative_path(path)}
    weights = select_weights(present, model=model, read=read)
    unused = {RECORD, WEIGHTS_INDEX} - {weights.index}
    small = [
        path
        for path in present
        if _SMALL.fullmatch(path) and path not in unused and not path.endswith(".bin.index.json")
    ]
    code = code_files(present) if allow_code else []
    return [*sorted(small), *code, *weights.files]


def select_weights(paths: Collection[str], *, model: str, read: Read) -> Weights:
    """The weights files: the shards of an index that is complete, else the single file.

    transformers prefers a single file beside an index. It may be a leftover, and what it lacks would be drawn at
    random, so the complete set that the index names is taken here.
    """
    single, index = _names(paths, model, read)
    if index in paths:
        try:
            shards = _shards(read(index), index, model)
            missing = [shard for shard in shards if shard not in paths]
            if missing:
                raise SnapshotError(_missing_shard(model, index, missing, paths))
            return Weights(shards, index)
        except SnapshotError:
            if single not in paths:
                raise
    if single in paths:
        return Weights((single,))
    raise SnapshotError(_why_no_weights(model, paths))


def unread_weights(paths: Collection[str], taken: Collection[str]) -> dict[str, str]:
    """A note for the snapshot's record, where a single weights file lies beside the shards that are taken."""
    by_index = any(path.endswith(".safetensors.index.json") for path in taken)
    unread = by_index and SINGLE_WEIGHTS in paths and SINGLE_WEIGHTS not in taken
    return {"unread_weights": SINGLE_WEIGHTS} if unread else {}


def code_files(paths: Iterable[str]) -> list[str]:
    return sorted(path for path in paths if path.endswith(".py"))


def _names(paths: Collection[str], model: str, read: Read) -> tuple[str, str]:
    """Names of the weights file and of the index. config.json may give one of them another name."""
    named = (
        read_object(read("config.json"), "config.json", model).get("transformers_weights")
        if ("config.json" in paths)
        else None
    )
    if isinstance(named, str) and named.endswith(".safetensors.index.json"):
        return SINGLE_WEIGHTS, named
    if isinstance(named, str) and named.endswith(".safetensors"):
        return named, WEIGHTS_INDEX
    return SINGLE_WEIGHTS, WEIGHTS_INDEX


def _shards(content: bytes, index: str, model: str) -> tuple[str, ...]:
    """The shards that an index names, sorted. Only safetensors: transformers would unpickle any other file."""
    weight_map = read_object(content, index, model).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise SnapshotError(f"{model}: {index} has no weight_map")
    shards = {str(shard) for shard in weight_map.values()}
    for shard in sorted(shards):
        if not safe_relative_path(shard):
            raise SnapshotError(f"{model}: {index} names {shard!r}, which leads out of the model's folder")
        if not shard.endswith(".safetensors"):
            raise SnapshotError(f"{model}: {index} names {shard!r}, which is not a .safetensors file")
    return tuple(sorted(shards))


def _missing_shard(model: str, index: str, missing: list[str], paths: Iterable[str]) -> str:
    partial = next((path for path in paths if path.endswith((".incomplete", ".part", ".crdownload"))), None)
    advice = f"the download is not finished ({partial}): download it again" if partial else "download it again"
    return f"{model}: {index} names {first_few(missing)}, which does not exist; {advice}"


def _why_no_weights(model: str, paths: Collection[str]) -> str:
    """What is there in place of weights, and what to do."""

    def first(pattern: re.Pattern[str]) -> str | None:
        return next((path for path in sorted(paths) if pattern.fullmatch(path)), None)

    if ADAPTER_FILES[0] in paths:
        return f"{model} is an adapter: name it under pytorch.adapter, and its base model under model"
    if shard := first(_SHARD):
        return f"{model}: numbered shards ({shard}) need a {WEIGHTS_INDEX}, which does not exist"
    if gguf := first(re.compile(r".+\.gguf")):
        return (
            f"{model} has its weights only as GGUF ({gguf}), which is read from an installed Python package "
            "(package:distribution/file.gguf); use the repository of the original model"
        )
    if pickle := first(_PICKLE):
        return (
            f"{model} has only pickled weights ({pickle}), which can run code when loaded; "
            "choose a revision or model with .safetensors files, or convert it"
        )
    if other := first(re.compile(r".+\.safetensors")):
        return f"{model} has {other}, but neither {SINGLE_WEIGHTS} nor an index ({WEIGHTS_INDEX}) that names it"
    if other := first(_OTHER_FRAMEWORK):
        return f"{model} has weights of another framework ({other}) only; choose one with .safetensors files"
    return f"{model} has no weights ({SINGLE_WEIGHTS}, or {WEIGHTS_INDEX} and its shards)"

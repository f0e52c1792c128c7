"""Folders as people have them: made from the tiny model, each with one thing wrong or unusual."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from safetensors.numpy import load_file, save_file

WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"


def copy(good: Path, folder: Path) -> Path:
    return Path(shutil.copytree(good, folder))


def sharded(good: Path, folder: Path, names: tuple[str, ...]) -> Path:
    """The same weights in shards of these names, with an index."""
    copy(good, folder)
    tensors = load_file(folder / WEIGHTS)
    (folder / WEIGHTS).unlink()
    parts: dict[str, dict[str, object]] = {name: {} for name in names}
    weight_map = {}
    for number, (key, tensor) in enumerate(sorted(tensors.items())):
        name = names[number % len(names)]
        parts[name][key] = tensor
        weight_map[key] = name
    for name, part in parts.items():
        (folder / name).parent.mkdir(exist_ok=True)
        save_file(part, folder / name, metadata={"format": "pt"})
    (folder / INDEX).write_text(json.dumps({"metadata": {"total_size": 1}, "weight_map": weight_map}))
    return folder


def only_bin(good: Path, folder: Path) -> Path:
    copy(good, folder)
    (folder / WEIGHTS).rename(folder / "pytorch_model.bin")
    return folder


def no_tokenizer(good: Path, folder: Path) -> Path:
    copy(good, folder)
    (folder / "tokenizer.json").unlink()
    (folder / "tokenizer_config.json").unlink()
    return folder


def lfs_pointer(path: Path) -> None:
    """Put in place of the file what `git clone` leaves without git-lfs."""
    size = path.stat().st_size
    path.write_text(f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize {size}\n")

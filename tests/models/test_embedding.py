"""How many ids a model knows, from its files: the weights decide."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from llenergymeasure.models.embedded.embedding import embedding_rows
from llenergymeasure.models.errors import SnapshotError


def write(folder: Path, config: object, **shapes: tuple[int, ...]) -> Path:
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    save_file({name: torch.zeros(shape) for name, shape in shapes.items()}, folder / "model-00001.safetensors")
    return folder


def test_a_whole_model(tiny_folder: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(tiny_folder, tmp_path / "model"))
    assert embedding_rows(folder) == 300
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    (folder / "config.json").write_text(json.dumps({**config, "vocab_size": 1000}), encoding="utf-8")
    assert embedding_rows(folder) == 300


@pytest.mark.parametrize(
    "name",
    [
        "model.embed_tokens.weight",
        "transformer.wte.weight",
        "wte.weight",
        "gpt_neox.embed_in.weight",
        "backbone.embeddings.weight",
        "transformer.word_embeddings.weight",
        "model.language_model.embed_tokens.weight",
    ],
)
def test_names_of_the_embedding(name: str, tmp_path: Path) -> None:
    others = {"model.norm.weight": (4,), "transformer.wpe.weight": (512, 4), "lm_head.weight": (77, 4)}
    assert embedding_rows(write(tmp_path, {"vocab_size": 9}, **{name: (50, 4)}, **others)) == 50


def test_of_several_embeddings_the_one_that_the_configuration_names(tmp_path: Path) -> None:
    shapes = {"vision.embeddings.weight": (900, 4), "model.embed_tokens.weight": (50, 4)}
    assert embedding_rows(write(tmp_path, {"text_config": {"vocab_size": 50}}, **shapes)) == 50


def test_without_one_the_configuration_says(tmp_path: Path) -> None:
    assert embedding_rows(write(tmp_path, {"vocab_size": 9}, **{"some.other.weight": (50, 4)})) == 9
    assert embedding_rows(write(tmp_path, {}, **{"some.other.weight": (50, 4)})) is None


@pytest.mark.parametrize(
    "content", [b"", b"version https://git-lfs.github.com/spec/v1\noid sha256:00", b"\x08" + b"\0" * 9]
)
def test_what_is_not_a_weights_file_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "model.safetensors").write_bytes(content)
    with pytest.raises(SnapshotError, match=r"model\.safetensors is not a safetensors file"):
        embedding_rows(tmp_path)

"""Which files of a model are taken: the index decides about the weights, and foreign files do not matter."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest
from models.made_models import INDEX, WEIGHTS

from llenergymeasure.models.errors import SnapshotError
from llenergymeasure.models.selection import select

SMALL = ("config.json", "tokenizer.json")


def index(*shards: str) -> bytes:
    return json.dumps({"weight_map": {f"weight{number}": shard for number, shard in enumerate(shards)}}).encode()


def taken(files: Mapping[str, bytes], *more: str, allow_code: bool = False) -> list[str]:
    """What is taken of these files, beside config and tokenizer."""
    every = {**dict.fromkeys(SMALL, b"{}"), **dict.fromkeys(more, b""), **files}
    chosen = select(every, model="org/model", allow_code=allow_code, read=lambda path: every[path])
    assert [path for path in chosen if path in SMALL] == list(SMALL)
    return [path for path in chosen if path not in SMALL]


@pytest.mark.parametrize(
    "shards",
    [
        ("model-00001-of-000163.safetensors", "model-00002-of-000163.safetensors"),
        ("model-1-of-2.safetensors", "model-2-of-2.safetensors"),
        ("embedding.safetensors", "layers/first.safetensors"),
        (WEIGHTS,),
    ],
)
def test_shards_are_those_of_the_index(shards: tuple[str, ...]) -> None:
    others = ("model.fp16.safetensors", "consolidated-00001-of-00002.safetensors", "onnx/model.onnx", "x.bin")
    assert taken({INDEX: index(*shards)}, *shards, *others) == [INDEX, *sorted(shards)]


def test_a_complete_index_comes_before_a_stray_single_file() -> None:
    assert taken({INDEX: index("a.safetensors")}, "a.safetensors", WEIGHTS) == [INDEX, "a.safetensors"]


@pytest.mark.parametrize("content", [index("gone.safetensors"), b"{", b"version https://git-lfs.github.com/spec/v1\n"])
def test_an_index_that_cannot_be_used_leaves_the_single_file(content: bytes) -> None:
    assert taken({INDEX: content}, WEIGHTS) == [WEIGHTS]


def test_config_may_name_the_weights() -> None:
    assert taken({"config.json": b'{"transformers_weights": "mine.safetensors"}'}, "mine.safetensors", WEIGHTS) == [
        "mine.safetensors"
    ]
    named = {"config.json": b'{"transformers_weights": "my.safetensors.index.json"}', "my.safetensors.index.json": b""}
    named["my.safetensors.index.json"] = index("a.safetensors")
    assert taken(named, "a.safetensors") == ["my.safetensors.index.json", "a.safetensors"]


def test_foreign_file_names_are_ignored() -> None:
    foreign = ("runs/2026-01-01_12:00:00/events.out", "a\\b.txt", "c:d.json", "../up.json", "/root.json", "..\\x.py")
    assert taken({}, WEIGHTS, *foreign, allow_code=True) == [WEIGHTS]


@pytest.mark.parametrize(
    ("files", "said"),
    [
        (
            {INDEX: index("a.safetensors", "b.safetensors")},
            f"{INDEX} names a.safetensors, b.safetensors, which does not",
        ),
        ({INDEX: index("../a.safetensors")}, r"names '\.\./a\.safetensors', which leads out of the model's folder"),
        ({INDEX: index("pytorch_model.bin"), "pytorch_model.bin": b""}, "which is not a .safetensors file"),
        ({INDEX: b"[]"}, f"{INDEX} is not a JSON object"),
        ({INDEX: b"{}"}, f"{INDEX} has no weight_map"),
        ({INDEX: index("a.safetensors"), ".cache/x.incomplete": b""}, r"the download is not finished \(\.cache/x"),
        ({"model-00001-of-00002.safetensors": b""}, rf"numbered shards \(model-00001-of-00002\S+ need a {INDEX}"),
        ({"pytorch_model.bin": b""}, r"only pickled weights \(pytorch_model\.bin\)"),
        (
            {"adapter_config.json": b"{}", "adapter_model.safetensors": b""},
            "is an adapter: name it under pytorch.adapter",
        ),
        (
            {"model.Q4_K_M.gguf": b""},
            r"only as GGUF \(model\.Q4_K_M\.gguf\), which is read from an installed Python pa",
        ),
        ({"consolidated.safetensors": b""}, f"has consolidated.safetensors, but neither {WEIGHTS} nor an index"),
        ({"tf_model.h5": b""}, r"weights of another framework \(tf_model\.h5\)"),
        ({}, f"has no weights \\({WEIGHTS}"),
    ],
)
def test_what_is_there_in_place_of_weights_is_named(files: Mapping[str, bytes], said: str) -> None:
    with pytest.raises(SnapshotError, match=said) as caught:
        taken(files)
    assert "\n" not in str(caught.value)

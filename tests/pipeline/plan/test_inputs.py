"""Digests of what a study only names: right, and each file read once."""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from pathlib import Path
from typing import Any

import pytest
from measurement.experiments import config
from results.record_parts import failed_load

from llenergymeasure.config.settings.model_ref import parse_model_ref
from llenergymeasure.config.study.lock import ModelsLock
from llenergymeasure.models.snapshot import materialise
from llenergymeasure.pipeline.plan import inputs
from llenergymeasure.pipeline.plan.inputs import InputDigests, was_loaded
from llenergymeasure.records.storage.atomic import write_json


class Desk:
    def __init__(self, root: Path, made: Path) -> None:
        self.root, self.models = root, root / "models"
        self.model = Path(shutil.copytree(made, root / "mine"))
        (self.model / "snapshot.json").unlink()
        (self.model / "notes.txt~").write_text("not part of the model", encoding="utf-8")
        self.data = root / "a.jsonl"
        self.data.write_text('{"text": "one"}\n', encoding="utf-8")
        long_ago = time.time() - 3600
        for path in (self.data, *self.model.iterdir()):
            os.utime(path, (long_ago, long_ago))
        dataset = {"source": "file", "path": str(self.data), "column": "text"}
        self.intent = config(model=str(self.model), dataset=dataset, n_prompts=1)

    def open(self) -> InputDigests:
        return InputDigests(self.root / "digests.json", self.models)


@pytest.fixture
def desk(tmp_path: Path, snapshot: Path) -> Desk:
    return Desk(tmp_path, snapshot)


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files that are read to be hashed."""
    names: list[str] = []
    real = inputs.hash_file

    def counting(path: Path) -> Any:
        names.append(path.name)
        return real(path)

    monkeypatch.setattr(inputs, "hash_file", counting)
    return names


def test_they_are_those_of_the_content(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    ref = parse_model_ref(str(desk.model))
    made = materialise(ref, None, desk.models / ref.key(None), lock=ModelsLock())
    wanted = {"dataset": hashlib.sha256(desk.data.read_bytes()).hexdigest(), "model": made.content_digest}
    assert desk.open().of(desk.intent) == wanted
    assert desk.open().of(config()) == {}
    # As a study may name it.
    home = config(dataset={"source": "file", "path": "~/a.jsonl", "column": "text"}, n_prompts=1)
    monkeypatch.setenv("HOME", str(desk.root))
    assert desk.open().of(home) == {"dataset": wanted["dataset"]}
    # The snapshot outlives the folder it was made of; a data file that is gone has no digest.
    shutil.rmtree(desk.model)
    desk.data.unlink()
    assert desk.open().of(desk.intent) == {"model": made.content_digest}


def test_a_file_is_read_once_in_a_call_and_not_in_the_next(desk: Desk, hashed: list[str]) -> None:
    digests = desk.open()
    first = digests.of(desk.intent)
    for _ in range(3):
        assert digests.of(desk.intent) == first
    assert sorted(hashed) == sorted({*hashed})
    assert {"a.jsonl", "model.safetensors"} < {*hashed}
    digests.keep()
    hashed.clear()
    assert desk.open().of(desk.intent) == first
    assert hashed == []


def test_other_content_of_the_same_size_is_seen(desk: Desk, hashed: list[str]) -> None:
    digests = desk.open()
    before = digests.of(desk.intent)
    digests.keep()
    hashed.clear()
    desk.data.write_text('{"text": "two"}\n', encoding="utf-8")
    after = desk.open().of(desk.intent)
    assert hashed == ["a.jsonl"]
    assert after["model"] == before["model"]
    assert after["dataset"] == hashlib.sha256(desk.data.read_bytes()).hexdigest() != before["dataset"]


@pytest.mark.parametrize("name", ["a.jsonl", "mine/model.safetensors"])
def test_so_is_content_that_was_put_in_place_with_the_old_time(desk: Desk, hashed: list[str], name: str) -> None:
    path = desk.root / name
    digests = desk.open()
    first = digests.of(desk.intent)
    digests.keep()
    before = path.stat()
    # The clock of file times may stand still for some milliseconds.
    time.sleep(0.05)
    with path.open("r+b") as stream:
        stream.seek(-3, os.SEEK_END)
        stream.write(b"X")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    hashed.clear()
    assert desk.open().of(desk.intent) != first
    assert hashed == [path.name]


def test_weights_that_are_linked_into_a_snapshot_are_not_read_again(desk: Desk, hashed: list[str]) -> None:
    digests = desk.open()
    digests.of(desk.intent)
    digests.keep()
    (desk.root / "link.safetensors").hardlink_to(desk.model / "model.safetensors")
    hashed.clear()
    desk.open().of(desk.intent)
    assert hashed == []


def test_a_file_that_was_just_written_is_read_again(desk: Desk, hashed: list[str]) -> None:
    """It may be written again within the resolution of its time stamp."""
    desk.data.touch()
    digests = desk.open()
    digests.of(desk.intent)
    digests.keep()
    hashed.clear()
    desk.open().of(desk.intent)
    assert hashed == ["a.jsonl"]


def test_a_broken_cache_is_ignored(desk: Desk) -> None:
    for text in ("", "[]", "{", '{"x": 1}', "\0"):
        (desk.root / "digests.json").write_text(text, encoding="utf-8")
        assert len(desk.open().of(desk.intent)) == 2


def test_a_load_record_says_what_was_loaded(tmp_path: Path) -> None:
    path = tmp_path / "load.json"
    assert was_loaded(path, {})
    assert not was_loaded(path, {"model": "a"})
    write_json(failed_load("0" * 12, {"model": "a", "adapter": "b"}).to_plain(), path)
    assert was_loaded(path, {"adapter": "b"})
    assert not was_loaded(path, {"adapter": "c"})

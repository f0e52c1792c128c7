"""What a hub or a network does wrong: each ends, in one line that says what to do. No line shows a token."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from models.conftest import Make
from models.hub.hub_server import HubServer, Repository
from models.hub.test_hub import WEIGHTS, lock_for

from llenergymeasure.models.errors import SnapshotError
from llenergymeasure.models.hub import download as download_module
from llenergymeasure.models.hub.messages import without_secrets

UNKNOWN = "0" * 40


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download_module, "_WAITS_S", (0.0, 0.0, 0.0))


def refusal(make: Make, text: str, revision: str, **more: object) -> str:
    with pytest.raises(SnapshotError) as caught:
        make(text, revision, **more)
    line = str(caught.value)
    assert "\n" not in line and "hf_test" not in line and "secret" not in line
    return line


def test_each_refusal_says_what_to_do(
    hub: HubServer, tiny_files: dict[str, bytes], commit: str, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.repositories["org/gated"] = Repository(gated=True)
    hub.repositories["org/private"] = Repository(private=True)
    gated = hub.repositories["org/gated"].commit("main", tiny_files)
    hub.tokens = {"Bearer hf_valid"}
    assert "does not accept your token (401); set HF_TOKEN or run `hf auth login`" in refusal(make, "org/gated", gated)
    hub.answers[gated] = [(403, {"X-Error-Code": "GatedRepo"})]
    assert "the account of your token has no access: accept its terms on" in refusal(make, "org/gated", gated)
    hub.answers[gated] = [(403, {"X-Error-Message": "no scope"})]
    assert "your token may not read it (403)" in refusal(make, "org/gated", gated)
    monkeypatch.delenv("HF_TOKEN")
    assert "org/gated is gated: accept its terms on" in refusal(make, "org/gated", gated)
    assert "set HF_TOKEN or run `hf auth login`" in refusal(make, "org/gated", gated)
    assert "org/private is not on" in refusal(make, "org/private", UNKNOWN)
    assert "if it is private, set HF_TOKEN" in refusal(make, "org/private", UNKNOWN)
    assert "org/none is not on" in refusal(make, "org/none", UNKNOWN)
    assert "org/tiny has no revision" in refusal(make, "org/tiny", UNKNOWN)
    hub.answers[commit] = [(429, {"Retry-After": "300"})]
    assert "limits how often it is asked (429); run again in 300 s" in refusal(make, "org/tiny", commit)
    monkeypatch.setenv("HF_ENDPOINT", "http://user:secret@127.0.0.1:9")
    assert "http://127.0.0.1:9 cannot be reached" in refusal(make, "org/tiny", commit)


def test_a_file_of_the_lock_that_was_removed(
    hub: HubServer, commit: str, tiny_files: dict[str, bytes], make: Make
) -> None:
    lock = lock_for("org/tiny", commit, tiny_files)
    del hub.repositories["org/tiny"].commits[commit]["tokenizer.json"]
    assert "a file that the lock names is no longer on" in refusal(make, "org/tiny", commit, lock=lock)


def test_a_hiccup_is_retried(hub: HubServer, commit: str, tiny_files: dict[str, bytes], make: Make) -> None:
    hub.answers = {
        f"revision/{commit}": [(503, {}), (500, {})],
        f"storage/org/tiny/{commit}/{WEIGHTS}": [(502, {}), (500, {})],
    }
    assert (make("org/tiny", commit).path / WEIGHTS).read_bytes() == tiny_files[WEIGHTS]


def test_a_server_that_stays_ill_is_named(hub: HubServer, commit: str, make: Make) -> None:
    hub.answers[f"revision/{commit}"] = [(503, {})] * 4
    assert "answered 503, several times" in refusal(make, "org/tiny", commit)


@pytest.mark.parametrize("mishap", ["longer", "endless", "bomb"])
@pytest.mark.parametrize("path", [WEIGHTS, "tokenizer.json"])
def test_no_more_is_taken_than_was_declared(
    hub: HubServer, commit: str, tiny_files: dict[str, bytes], make: Make, tmp_path: Path, mishap: str, path: str
) -> None:
    lock = lock_for("org/tiny", commit, tiny_files)
    if mishap == "endless":
        hub.endless.add(path)
    else:
        hub.served["org/tiny", path] = tiny_files[path] + bytes(100_000_000)
    if mishap == "bomb":
        hub.compressed.add(path)
    before = time.perf_counter()
    line = refusal(make, "org/tiny", commit, lock=lock)
    assert f"{path} is longer than the {len(tiny_files[path])} bytes" in line
    assert time.perf_counter() - before < 5
    assert not any(file.stat().st_size > 10_000_000 for file in tmp_path.rglob("*") if file.is_file())


def test_text_without_secrets() -> None:
    text = "https://me:pw@mirror.org/a?X-Amz-Signature=abc&b=c hf_AbC123 http://x/y?sig=1"
    assert without_secrets(text) == "https://mirror.org/a hf_… http://x/y"

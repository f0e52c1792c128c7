"""What a hub or a cache does wrong with a data set: one line that says what to do, and no secret."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from huggingface_hub import constants
from models.hub.hub_server import HubServer, Repository

from llenergymeasure.config.study.lock import DatasetAsked, ModelsLock, write_lock
from llenergymeasure.measurement.prompts.errors import PromptError
from llenergymeasure.models.errors import SnapshotError
from llenergymeasure.models.hub import download as download_module
from llenergymeasure.models.hub.datasets import fetch_dataset_file, list_dataset, pin_dataset
from llenergymeasure.pipeline.pinned_data import fetch_pinned
from llenergymeasure.processes.inherited import MODELS_LOCK

SMALL, LARGE = "train.jsonl", "train.parquet"
FILES = {SMALL: b'{"text": "one"}\n', LARGE: b"PAR1 as stored PAR1"}


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download_module, "_WAITS_S", (0.0, 0.0, 0.0))


@pytest.fixture
def commit(hub: HubServer) -> str:
    return hub.repositories.setdefault("datasets/org/set", Repository()).commit("main", FILES)


@pytest.fixture
def pinned(commit: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The commit, with a lock that has its files."""
    pin = pin_dataset("org/set", DatasetAsked(revision="main", paths=(SMALL, LARGE)))
    write_lock(ModelsLock().with_dataset("org/set", pin), tmp_path / "models.lock.yaml")
    monkeypatch.setenv(MODELS_LOCK, str(tmp_path / "models.lock.yaml"))
    return commit


def said(error: pytest.ExceptionInfo[Exception]) -> str:
    line = str(error.value)
    assert "\n" not in line and "secret" not in line and "hf_test" not in line
    return line


def test_a_hiccup_is_retried(hub: HubServer, commit: str) -> None:
    hub.answers = {
        "revision/main": [(503, {}), (500, {})],
        f"storage/datasets/org/set/{commit}/{LARGE}": [(502, {}), (500, {})],
    }
    assert list_dataset("org/set", "main")[0] == commit
    assert fetch_dataset_file("org/set", commit, LARGE).read_bytes() == FILES[LARGE]


@pytest.mark.parametrize(
    ("answer", "what"),
    [
        ((503, {}), "answered 503, several times"),
        ((429, {}), "limits how often it is asked (429); run again later"),
        ((429, {"Retry-After": "7"}), "limits how often it is asked (429); run again in 7 s"),
        ((403, {}), "your token may not read it (403)"),
    ],
)
def test_a_hub_that_refuses_is_answered_with_what_to_do(
    hub: HubServer, answer: tuple[int, dict[str, str]], what: str
) -> None:
    hub.answers["revision/main"] = [answer] * 4
    with pytest.raises(SnapshotError) as error:
        list_dataset("org/set", "main")
    assert said(error).startswith("data set org/set@main: ")
    assert what in said(error)


def test_no_line_shows_the_password_of_a_mirror(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://user:secret@127.0.0.1:9")
    with pytest.raises(SnapshotError) as error:
        list_dataset("org/set", "main")
    assert "http://127.0.0.1:9 cannot be reached" in said(error)


@pytest.mark.parametrize("path", [SMALL, LARGE])
@pytest.mark.parametrize("mishap", ["longer", "endless"])
def test_no_more_is_taken_than_was_pinned(hub: HubServer, pinned: str, cache: Path, path: str, mishap: str) -> None:
    shutil.rmtree(cache)
    if mishap == "endless":
        hub.endless.add(path)
    hub.served["datasets/org/set", path] = FILES[path] + bytes(50_000_000)
    with pytest.raises(PromptError) as error:
        fetch_pinned("org/set", pinned, path)
    assert f"{path} is longer than the {len(FILES[path])} bytes" in said(error)
    assert not any(file.stat().st_size > 1_000_000 for file in cache.rglob("*") if file.is_file())


@pytest.mark.parametrize("path", [SMALL, LARGE])
def test_a_file_that_was_changed_in_the_cache_is_downloaded_again(hub: HubServer, pinned: str, path: str) -> None:
    cached = fetch_pinned("org/set", pinned, path)
    cached.resolve().write_bytes(b"x" * len(FILES[path]))
    asked = len(hub.of(path))
    assert fetch_pinned("org/set", pinned, path).read_bytes() == FILES[path]
    assert len(hub.of(path)) > asked
    hub.served["datasets/org/set", path] = b"y" * len(FILES[path])
    cached.resolve().write_bytes(b"x" * len(FILES[path]))
    with pytest.raises(PromptError) as error:
        fetch_pinned("org/set", pinned, path)
    assert "is not the file that the lock describes, also after a second download" in said(error)


def test_a_changed_file_without_a_network_says_to_allow_it(pinned: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fetch_pinned("org/set", pinned, SMALL).resolve().write_bytes(b"x" * len(FILES[SMALL]))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(PromptError) as error:
        fetch_pinned("org/set", pinned, SMALL)
    assert "is not the file that the lock describes, and HF_HUB_OFFLINE is set; unset it" in said(error)

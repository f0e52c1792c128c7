"""The Hugging Face cache: a model that lies in it is checked and linked, and what is downloaded is kept in it."""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path

import pytest
from huggingface_hub import constants, hf_hub_download, snapshot_download
from models.conftest import Make, weights_file
from models.hub.hub_server import HubServer, Repository
from models.hub.test_hub import WEIGHTS, lock_for

from llenergymeasure.config.study.lock import ModelsLock
from llenergymeasure.models.errors import SnapshotError
from llenergymeasure.models.hub import cache as cache_module
from llenergymeasure.models.snapshot import verify_snapshot


@pytest.fixture
def cached(hub: HubServer, commit: str) -> str:
    """org/tiny, downloaded by another program; the hub forgets what it was asked."""
    snapshot_download("org/tiny", revision=commit, endpoint=hub.endpoint)
    hub.requests.clear()
    return commit


def blob(cache: Path, commit: str, path: str) -> Path:
    return (cache / "models--org--tiny" / "snapshots" / commit / path).resolve()


def test_a_pinned_model_in_the_cache_is_linked_without_a_request(
    hub: HubServer, cached: str, cache: Path, tiny_files: dict[str, bytes], make: Make
) -> None:
    snapshot = make("org/tiny", cached, lock=lock_for("org/tiny", cached, tiny_files))
    assert hub.requests == []
    assert snapshot.notes["hashes_checked_against"] == "lock"
    for path in snapshot.files:
        assert (snapshot.path / path).samefile(blob(cache, cached, path))
        assert not (snapshot.path / path).is_symlink()
    assert verify_snapshot(snapshot.path).files == snapshot.files


def test_offline_with_and_without_a_lock(
    hub: HubServer,
    cached: str,
    tiny_files: dict[str, bytes],
    make: Make,
    cache: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert make("org/tiny", cached).notes["hashes_checked_against"] == "cache"
    changed = blob(cache, cached, "config.json")
    changed.write_bytes(changed.read_bytes().replace(b"llama", b"gemma"))
    with pytest.raises(SnapshotError, match="HF_HUB_OFFLINE is set; unset it, or run first") as caught:
        make("org/tiny", cached, lock=lock_for("org/tiny", cached, tiny_files))
    assert "\n" not in str(caught.value)
    assert hub.requests == []


def test_offline_and_not_in_the_cache(
    commit: str, tiny_files: dict[str, bytes], make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    for lock in (ModelsLock(), lock_for("org/tiny", commit, tiny_files)):
        with pytest.raises(SnapshotError, match=f"hf download org/tiny --revision {commit}"):
            make("org/tiny", commit, lock=lock)


def test_what_the_cache_lacks_is_downloaded_and_kept_there(
    hub: HubServer, commit: str, cache: Path, tiny_files: dict[str, bytes], make: Make
) -> None:
    hf_hub_download("org/tiny", "tokenizer.json", revision=commit, endpoint=hub.endpoint)
    hub.requests.clear()
    snapshot = make("org/tiny", commit, lock=lock_for("org/tiny", commit, tiny_files))
    assert not hub.of("tokenizer.json")
    assert hub.of(f"storage/org/tiny/{commit}/{WEIGHTS}")
    assert blob(cache, commit, WEIGHTS).samefile(snapshot.path / WEIGHTS)


def test_a_file_that_was_changed_in_the_cache_is_downloaded_again(
    hub: HubServer, cached: str, cache: Path, tiny_files: dict[str, bytes], make: Make
) -> None:
    weights = blob(cache, cached, WEIGHTS)
    weights.write_bytes(bytes(len(weights.read_bytes())))
    lock = lock_for("org/tiny", cached, tiny_files)
    snapshot = make("org/tiny", cached, lock=lock)
    assert (snapshot.path / WEIGHTS).read_bytes() == weights.read_bytes() == tiny_files[WEIGHTS]
    assert len(hub.of(WEIGHTS)) > 0 and not hub.of("tokenizer.json")
    # The snapshot shares its content with the cache: a change shows when it is verified, and is put right.
    weights.write_bytes(bytes(len(weights.read_bytes())))
    with pytest.raises(SnapshotError, match=f"{WEIGHTS} has changed"):
        verify_snapshot(snapshot.path)
    assert (make("org/tiny", cached, lock=lock).path / WEIGHTS).read_bytes() == tiny_files[WEIGHTS]


def test_between_file_systems_it_is_a_copy(
    cached: str, cache: Path, tiny_files: dict[str, bytes], make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    def another_device(*_: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(cache_module.os, "link", another_device)
    snapshot = make("org/tiny", cached, lock=lock_for("org/tiny", cached, tiny_files))
    assert not (snapshot.path / WEIGHTS).is_symlink()
    assert not (snapshot.path / WEIGHTS).samefile(blob(cache, cached, WEIGHTS))
    assert (snapshot.path / WEIGHTS).read_bytes() == tiny_files[WEIGHTS]


@pytest.mark.slow
def test_a_large_model_is_ready_in_the_time_of_its_hashing_and_takes_no_second_place(
    hub: HubServer, cache: Path, tiny_files: dict[str, bytes], make: Make
) -> None:
    hub.repositories["org/tiny"] = Repository()
    files = {**tiny_files, WEIGHTS: weights_file(400_000_000)}
    commit = hub.repositories["org/tiny"].commit("main", files)
    snapshot_download("org/tiny", revision=commit, endpoint=hub.endpoint)
    lock = lock_for("org/tiny", commit, files)
    before = time.perf_counter()
    with blob(cache, commit, WEIGHTS).open("rb") as stream:
        hashlib.file_digest(stream, "sha256")
    hashing_s = time.perf_counter() - before
    used = os.statvfs(cache).f_bfree * os.statvfs(cache).f_frsize
    before = time.perf_counter()
    snapshot = make("org/tiny", commit, lock=lock)
    assert time.perf_counter() - before < 1.5 * hashing_s + 0.5
    assert used - os.statvfs(cache).f_bfree * os.statvfs(cache).f_frsize < 50_000_000
    assert (snapshot.path / WEIGHTS).stat().st_nlink == 2

"""The few requests made to a model hub. Everything goes through huggingface_hub.

The hub is the one `HF_ENDPOINT` names, huggingface.co by default; a token is taken from `HF_TOKEN` or the
Hugging Face login.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import DatasetInfo, HfApi, ModelInfo, constants

from llenergymeasure.config.study.lock import FileHash
from llenergymeasure.models.errors import SnapshotError
from llenergymeasure.models.files import git_blob_id, hash_file
from llenergymeasure.models.hub.cache import place
from llenergymeasure.models.hub.download import download_to_cache, with_retries
from llenergymeasure.models.hub.messages import hub_errors, without_secrets

REQUEST_TIMEOUT_S = 30.0


@dataclass(frozen=True)
class RemoteFile:
    """A file as the hub lists it. Large files have a SHA-256, small ones only their git blob id (SHA-1)."""

    size: int
    sha256: str | None
    blob_id: str | None


def endpoint() -> str:
    """Address of the hub, read when it is needed so that a change of the environment counts."""
    return os.environ.get("HF_ENDPOINT", "").rstrip("/") or constants.ENDPOINT


def list_repository(name: str, revision: str) -> tuple[str, dict[str, RemoteFile]]:
    """The commit `revision` stands for, and the files at it. SnapshotError when the hub does not give them."""
    api = HfApi(endpoint=endpoint())
    with hub_errors(name, revision, endpoint()):
        info = with_retries(
            lambda: api.model_info(name, revision=revision, files_metadata=True, timeout=REQUEST_TIMEOUT_S)
        )
    return commit_and_files(info, name, revision)


def commit_and_files(info: ModelInfo | DatasetInfo, what: str, revision: str) -> tuple[str, dict[str, RemoteFile]]:
    """From the hub's answer about a revision. what: the repository, in words for the SnapshotError"""
    files = {
        entry.rfilename: RemoteFile(entry.size or 0, entry.lfs.sha256 if entry.lfs else None, entry.blob_id)
        for entry in info.siblings or []
    }
    if not info.sha:
        raise SnapshotError(f"{what}: {without_secrets(endpoint())} does not say which commit {revision!r} is")
    return info.sha, files


def hash_listed(fetch: Callable[[bool], Path], remote: RemoteFile, what: str) -> FileHash:
    """The hash of a file as the hub lists it. A small file, of which it lists no SHA-256, is fetched for that."""
    if remote.sha256:
        return FileHash(sha256=remote.sha256, size=remote.size)
    return hash_file(fetch_listed(fetch, remote, what))


def fetch_listed(fetch: Callable[[bool], Path], remote: RemoteFile, what: str) -> Path:
    """A file that is as the hub lists it; where the first one is not, another is fetched. SnapshotError where none is.

    fetch: gives the file; True: not the one in the cache. what: the file, in words
    """
    for again in (False, True):
        file = fetch(again)
        listed = remote.sha256 or remote.blob_id
        if listed == (hash_file(file).sha256 if remote.sha256 else git_blob_id(file)):
            return file
    raise SnapshotError(f"{what} is not the file the hub lists; try again")


def download(name: str, commit: str, path: str, destination: Path, *, size: int, again: bool = False) -> None:
    """Get one file into the Hugging Face cache, unless it is there, and link it to `destination`.

    size: bytes, as declared; a longer body is cut off. again: download a file that is in the cache, too
    SnapshotError when it fails.
    """
    with hub_errors(name, commit, endpoint()):
        cached = download_to_cache(name, commit, path, size=size, endpoint=endpoint(), again=again)
    place(cached, destination)

"""The few requests made to a model hub. Everything goes through huggingface_hub.

The hub is the one `HF_ENDPOINT` names, huggingface.co by default; a token is taken from `HF_TOKEN` or the
Hugging Face login.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import HfApi, constants

from llenergymeasure.models.errors import SnapshotError
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
    files = {
        entry.rfilename: RemoteFile(entry.size or 0, entry.lfs.sha256 if entry.lfs else None, entry.blob_id)
        for entry in info.siblings or []
    }
    if not info.sha:
        raise SnapshotError(f"{name}: {without_secrets(endpoint())} does not say which commit {revision!r} is")
    return info.sha, files


def download(name: str, commit: str, path: str, destination: Path, *, size: int, again: bool = False) -> None:
    """Get one file into the Hugging Face cache, unless it is there, and link it to `destination`.

    size: bytes, as declared; a longer body is cut off. again: download a file that is in the cache, too
    SnapshotError when it fails.
    """
    with hub_errors(name, commit, endpoint()):
        cached = download_to_cache(name, commit, path, size=size, endpoint=endpoint(), again=again)
    place(cached, destination)

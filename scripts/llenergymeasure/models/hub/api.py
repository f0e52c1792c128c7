"""The few requests made to a model hub, with its errors turned into one line that says what to do.

The hub is the one `HF_ENDPOINT` names, huggingface.co by default; a token is taken from `HF_TOKEN` or the
Hugging Face login. Everything goes through huggingface_hub.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import HfApi, constants, hf_hub_url
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HTTPError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.file_download import http_get
from huggingface_hub.utils import build_hf_headers

from llenergymeasure.config.problems.text import first_line
from llenergymeasure.models.errors import SnapshotError

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
    with _hub_errors(name, revision):
        info = HfApi(endpoint=endpoint()).model_info(
            name, revision=revision, files_metadata=True, timeout=REQUEST_TIMEOUT_S
        )
    files = {
        entry.rfilename: RemoteFile(entry.size or 0, entry.lfs.sha256 if entry.lfs else None, entry.blob_id)
        for entry in info.siblings or []
    }
    if not info.sha:
        raise SnapshotError(f"{name}: {endpoint()} does not say which commit {revision!r} is")
    return info.sha, files


def download(name: str, commit: str, path: str, destination: Path, *, size: int) -> None:
    """Download one file to `destination`, going on where an earlier attempt was cut off.

    huggingface_hub 2 deletes what an interrupted `hf_hub_download` had fetched, so the partial file is kept
    here, beside its destination, and handed to its own range-aware downloader, which writes (and so keeps) 10 MB
    at a time. SnapshotError when it fails.
    """
    partial = partial_path(destination)
    partial.parent.mkdir(parents=True, exist_ok=True)
    if partial.exists() and partial.stat().st_size > size:
        partial.unlink()
    with _hub_errors(name, commit), partial.open("ab") as stream:
        http_get(
            hf_hub_url(name, path, revision=commit, endpoint=endpoint()),
            stream,
            resume_size=stream.tell(),
            # Ranges count the file's own bytes, so the transfer must not be compressed.
            headers={**build_hf_headers(), "Accept-Encoding": "identity"},
            expected_size=size,
            displayed_filename=path,
        )
    partial.replace(destination)


def partial_path(destination: Path) -> Path:
    return destination.with_name(f"{destination.name}.part")


@contextmanager
def _hub_errors(name: str, revision: str) -> Iterator[None]:
    try:
        yield
    except GatedRepoError as error:
        raise SnapshotError(f"{name} is gated: accept its terms on {endpoint()}/{name} and set HF_TOKEN") from error
    except RevisionNotFoundError as error:
        raise SnapshotError(f"{name} has no revision {revision!r} on {endpoint()}") from error
    except RepositoryNotFoundError as error:
        raise SnapshotError(
            f"{name} is not on {endpoint()}; check the name, or set HF_TOKEN if it is private"
        ) from error
    except OfflineModeIsEnabled as error:
        raise SnapshotError(f"{name} has to be downloaded, but HF_HUB_OFFLINE is set; unset it") from error
    except HfHubHTTPError as error:
        status = error.response.status_code
        raise SnapshotError(f"{name}: {endpoint()} answered {status} ({first_line(error)}); try again") from error
    except HTTPError as error:
        raise SnapshotError(
            f"{name}: {endpoint()} cannot be reached ({type(error).__name__}: {first_line(error)}); check the "
            "network or HF_ENDPOINT and run again; a download continues where it stopped"
        ) from error
    except (ValueError, OSError) as error:
        raise SnapshotError(f"{name}: download failed ({first_line(error)}); run again") from error

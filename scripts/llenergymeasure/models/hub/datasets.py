"""Data sets on a hub: which commit and which files a study's `split` or `path` stands for, and those files here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from huggingface_hub import HfApi
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HTTPError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from llenergymeasure.config.problems.text import first_line
from llenergymeasure.config.study.lock import DEFAULT_REVISION, DatasetAsked, DatasetPin, FileHash
from llenergymeasure.models.errors import SnapshotError
from llenergymeasure.models.hub.api import REQUEST_TIMEOUT_S, RemoteFile, commit_and_files, endpoint, hash_listed
from llenergymeasure.models.hub.download import TooLong, download_to_cache, with_retries
from llenergymeasure.models.hub.messages import (
    LOG_IN,
    describe_gated,
    describe_no_answer,
    describe_refusal,
    without_secrets,
)
from llenergymeasure.models.hub.splits import NoSplit, converted_files, own_files

# Where the hub keeps a copy of every data set that it could convert to Parquet: <config>/<split>/0000.parquet.
CONVERTED = "refs/convert/parquet"


def pin_dataset(name: str, asked: DatasetAsked) -> DatasetPin:
    """The commit and the files of what a study asks for. SnapshotError (one line) where there are none.

    A split is looked for in the repository's own files, as its README describes them or by their names; then, for the
    main branch, in the hub's Parquet copy, which is pinned by a commit of its own.
    """
    files: Mapping[str, RemoteFile]
    commit, files = list_dataset(name, asked.revision)
    if asked.split is None:
        for path in asked.paths:
            if path not in files:
                raise SnapshotError(f"data set {name}@{commit[:12]} has no file {path}; check dataset.path")
        wanted = list(asked.paths)
    else:
        commit, files, wanted = _split(name, asked, commit, files)
    hashes = {path: _hash(name, commit, path, files[path]) for path in wanted}
    return DatasetPin(**asked.model_dump(), commit=commit, files=hashes)


def _split(
    name: str, asked: DatasetAsked, commit: str, files: Mapping[str, RemoteFile]
) -> tuple[str, Mapping[str, RemoteFile], list[str]]:
    head = files.get("README.md")
    readme = None if head is None else fetch_dataset_file(name, commit, "README.md", size=head.size)
    split = str(asked.split)
    try:
        return commit, files, own_files(list(files), readme, asked.config, split)
    except NoSplit as error:
        reason = str(error)
    if asked.revision == DEFAULT_REVISION:
        try:
            converted, copies = list_dataset(name, CONVERTED)
            return converted, copies, converted_files(list(copies), asked.config, split)
        except RevisionMissing:
            reason += "; the hub has no Parquet copy of it"
        except NoSplit as error:
            reason = str(error)
    raise SnapshotError(f"data set {name}: {reason}")


class RevisionMissing(SnapshotError):
    """A repository without that branch, tag or commit."""


def list_dataset(name: str, revision: str) -> tuple[str, dict[str, RemoteFile]]:
    """The commit that the revision stands for, and the files at it. SnapshotError where the hub does not give them."""
    with _errors(name, revision):
        api = HfApi(endpoint=endpoint())
        info = with_retries(
            lambda: api.dataset_info(name, revision=revision, files_metadata=True, timeout=REQUEST_TIMEOUT_S)
        )
    return commit_and_files(info, f"data set {name}", revision)


def fetch_dataset_file(name: str, commit: str, path: str, *, size: int | None = None, again: bool = False) -> Path:
    """A file of a data set at a commit, from the Hugging Face cache or, where it is not there, the hub.

    size: bytes, where they are known; a longer body is cut off. again: download a file that is in the cache, too
    With HF_HUB_OFFLINE set (as in the process that measures) only the cache is asked. SnapshotError where it fails.
    """
    with _errors(name, commit, path):
        return download_to_cache(name, commit, path, size=size, endpoint=endpoint(), again=again, repo_type="dataset")


def _hash(name: str, commit: str, path: str, remote: RemoteFile) -> FileHash:
    return hash_listed(
        lambda again: fetch_dataset_file(name, commit, path, size=remote.size, again=again),
        remote,
        f"data set {name}@{commit}: {path}",
    )


@contextmanager
def _errors(name: str, revision: str, path: str = "") -> Iterator[None]:
    """Turn whatever huggingface_hub raises into a SnapshotError without secrets."""
    try:
        yield
    except RevisionNotFoundError as error:
        raise RevisionMissing(f"data set {name} has no revision {revision}; check dataset.revision") from error
    except (HTTPError, OfflineModeIsEnabled, TooLong, ValueError, OSError) as error:
        raise SnapshotError(without_secrets(_line(error, name, revision, path))) from error


def _line(error: Exception, name: str, revision: str, path: str) -> str:
    at = revision[:12] if len(revision) == 40 else revision
    where = f"data set {name}@{at}"
    what = f"{path} of {where}" if path else where
    match error:
        case GatedRepoError():
            return describe_gated(where, f"{endpoint()}/datasets/{name}")
        case RemoteEntryNotFoundError():
            return f"{where} has no file {path}; check dataset.path"
        case RepositoryNotFoundError():
            return f"data set {name} is not on {endpoint()}; check dataset.name, or, if it is private, {LOG_IN}"
        case OfflineModeIsEnabled():
            return f"{what} is needed from the hub, but HF_HUB_OFFLINE is set; unset it"
        case LocalEntryNotFoundError():
            cause = error.__cause__
            if isinstance(cause, HfHubHTTPError):
                return _line(cause, name, revision, path)
            return f"{what} is not in the local cache and the hub cannot be reached"
        case HfHubHTTPError():
            return describe_refusal(error, what, endpoint())
        case HTTPError():
            return describe_no_answer(error, what, endpoint())
        case TooLong():
            return f"{where}: {error}; the download was cut off; check HF_ENDPOINT, or run `snakemake pin`"
    return f"{what} cannot be downloaded ({type(error).__name__}: {first_line(error)}); run again"

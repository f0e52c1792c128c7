"""Models from a hub: pinned to a commit, only safetensors, every file checked before it counts."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import is_offline_mode

from llenergymeasure.config.study.lock import FileHash
from llenergymeasure.models.errors import DestinationError, SnapshotError
from llenergymeasure.models.files import git_blob_id, hash_file, list_folder, read_small
from llenergymeasure.models.hub.api import download, list_repository
from llenergymeasure.models.hub.cache import cache_folder, cached_blobs, cached_file, place
from llenergymeasure.models.selection import code_files, select_for, unread_weights
from llenergymeasure.models.sources import Fetched, Request

RESUMES = True
AT_ONCE = 8

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Expected:
    """What a file must be. The lock has every SHA-256; the hub gives small files only a git blob id."""

    size: int
    sha256: str | None
    blob_id: str | None


def fetch(request: Request) -> Fetched:
    """Link the files from the Hugging Face cache; download those that are not there.

    SnapshotError names the file that differs from what is expected.
    """
    repository = _Repository(request)
    wanted = select_for(request, repository.expected, repository.read)
    if code_files(wanted) and not repository.locked:
        raise SnapshotError(
            f"{request.ref.text}@{request.revision} contains Python code whose hashes are not in the lock; run "
            "`snakemake pin`"
        )
    _remove_leftovers(request.folder, wanted)
    repository.check_space(wanted)
    notes = {"hashes_checked_against": repository.authority, **unread_weights(repository.expected, wanted)}
    return Fetched(repository.obtain_all(wanted), notes)


class _Repository:
    """A commit of a repository: what its files must be, and the folder they go to."""

    def __init__(self, request: Request) -> None:
        self._name, self._commit, self._folder = request.ref.name, str(request.revision), request.folder
        locked = request.lock.files(self._name, self._commit)
        self.locked = locked is not None
        if locked is not None:
            self.authority, self.expected = "lock", _from_lock(locked)
        elif is_offline_mode() and (blobs := cached_blobs(self._name, self._commit)):
            self.authority, self.expected = "cache", _from_blobs(blobs)
        else:
            self.authority, self.expected = "hub", _from_hub(self._name, self._commit)

    def read(self, path: str) -> bytes:
        """Content of a small file, which is obtained first."""
        self._obtain(path)
        return read_small(self._folder / path, path, self._name)

    def obtain_all(self, paths: list[str]) -> dict[str, FileHash]:
        """Where the hub cannot be had, the first file says so, and the others are not tried."""
        first, *others = paths
        files = {first: self._obtain(first)}
        with ThreadPoolExecutor(AT_ONCE) as pool:
            return files | dict(zip(others, pool.map(self._obtain, others), strict=True))

    def check_space(self, paths: list[str]) -> None:
        """DestinationError where the files do not fit on the disks of the cache and of the snapshot."""
        lacking = [path for path in paths if not (self._folder / path).exists()]
        downloaded = [path for path in lacking if cached_file(self._name, self._commit, path) is None]
        cache = cache_folder()
        _require_space(cache, sum(self.expected[path].size for path in downloaded), self._name)
        if cache.stat().st_dev != self._folder.stat().st_dev:
            _require_space(self._folder, sum(self.expected[path].size for path in lacking), self._name)

    def _obtain(self, path: str) -> FileHash:
        target, expected = self._folder / path, self.expected[path]
        if target.exists() and (whole := _whole(target, expected)):  # from an earlier, interrupted run
            return whole
        cached = cached_file(self._name, self._commit, path)
        if cached is not None:
            place(cached, target)
            if whole := _whole(target, expected):
                return whole
            log.warning(
                "%s in the Hugging Face cache is not the file the %s describes; downloading it again",
                cached,
                self.authority,
            )
        target.unlink(missing_ok=True)
        download(self._name, self._commit, path, target, size=expected.size, again=cached is not None)
        if whole := _whole(target, expected):
            return whole
        file_hash = hash_file(target)
        target.unlink()
        raise SnapshotError(
            f"{self._name}@{self._commit}: {path} is not the file the {self.authority} describes "
            f"(SHA-256 {file_hash.sha256[:12]}…, {file_hash.size} bytes); "
            "if a second download gives the same file, do not use this model"
        )


def _whole(path: Path, expected: _Expected) -> FileHash | None:
    """The hash of a file that is what it should be; None for another file."""
    if path.stat().st_size != expected.size:
        return None
    file_hash = hash_file(path)
    return file_hash if _fits(path, file_hash, expected) else None


def _fits(path: Path, file_hash: FileHash, expected: _Expected) -> bool:
    if expected.sha256:
        return (file_hash.sha256, file_hash.size) == (expected.sha256, expected.size)
    return file_hash.size == expected.size and git_blob_id(path) == expected.blob_id


def _from_lock(locked: Mapping[str, FileHash]) -> dict[str, _Expected]:
    return {path: _Expected(entry.size, entry.sha256, None) for path, entry in locked.items()}


def _from_hub(name: str, commit: str) -> dict[str, _Expected]:
    answered, files = list_repository(name, commit)
    if answered != commit:
        raise SnapshotError(f"{name}: the hub answered with commit {answered} when asked for {commit}")
    return {path: _Expected(file.size, file.sha256, file.blob_id) for path, file in files.items()}


def _from_blobs(blobs: Mapping[str, tuple[int, str]]) -> dict[str, _Expected]:
    """The cache names its files by their hashes, so that they can be checked where neither lock nor hub is there."""
    return {
        path: _Expected(size, blob, None) if len(blob) == 64 else _Expected(size, None, blob)
        for path, (size, blob) in blobs.items()
    }


def _remove_leftovers(folder: Path, wanted: list[str]) -> None:
    """Files of an earlier attempt that this one does not take (another selection, code no longer allowed)."""
    for path in list_folder(folder):
        if path not in wanted:
            (folder / path).unlink()


def _require_space(folder: Path, size_bytes: int, model: str) -> None:
    free = shutil.disk_usage(folder).free
    if size_bytes > free:
        raise DestinationError(
            f"{model} needs {size_bytes} more bytes in {folder}, where only {free} are free; make room there, or set "
            "HF_HOME to a folder on another disk"
        )

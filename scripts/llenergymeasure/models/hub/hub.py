"""Models from a hub: pinned to a commit, only safetensors, every file checked before it counts."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from llenergymeasure.config.study.lock import FileHash
from llenergymeasure.models.errors import SnapshotError
from llenergymeasure.models.files import code_files, git_blob_id, hash_file, list_folder, select_for
from llenergymeasure.models.hub.api import RemoteFile, download, list_repository, partial_path
from llenergymeasure.models.sources import Fetched, Request

RESUMES = True


@dataclass(frozen=True)
class _Expected:
    """What a file must be. The lock has every SHA-256; the hub gives small files only a git blob id."""

    size: int
    sha256: str | None
    blob_id: str | None
    authority: str


def fetch(request: Request) -> Fetched:
    """Download the files that are missing. SnapshotError names the file that differs from what is expected."""
    name, commit = request.ref.name, str(request.revision)
    locked = request.lock.files(name, commit)
    known = _from_lock(locked) if locked else _from_hub(name, commit)
    wanted = select_for(request, known)
    if code_files(wanted) and not locked:
        raise SnapshotError(
            f"{request.ref.text}@{commit} contains Python code whose hashes are not in the lock; run `snakemake pin`"
        )
    _remove_leftovers(request.folder, wanted)
    _check_space(request.folder, sum(known[path].size for path in wanted), request.ref.text)
    files = {path: _obtain(name, commit, path, request.folder, known[path]) for path in wanted}
    return Fetched(files, {"hashes_checked_against": "lock" if locked else "hub"})


def _obtain(name: str, commit: str, path: str, folder: Path, expected: _Expected) -> FileHash:
    target = folder / path
    if target.exists():  # from an earlier, interrupted run
        file_hash = hash_file(target)
        if _fits(target, file_hash, expected):
            return file_hash
        target.unlink()
    download(name, commit, path, target, size=expected.size)
    file_hash = hash_file(target)
    if not _fits(target, file_hash, expected):
        target.unlink()
        raise SnapshotError(
            f"{name}@{commit}: {path} is not the file the {expected.authority} describes "
            f"(SHA-256 {file_hash.sha256[:12]}…, {file_hash.size} bytes); "
            "if a second download gives the same file, do not use this model"
        )
    return file_hash


def _fits(path: Path, file_hash: FileHash, expected: _Expected) -> bool:
    if expected.sha256:
        return (file_hash.sha256, file_hash.size) == (expected.sha256, expected.size)
    return file_hash.size == expected.size and git_blob_id(path) == expected.blob_id


def _from_lock(locked: Mapping[str, FileHash]) -> dict[str, _Expected]:
    return {path: _Expected(entry.size, entry.sha256, None, "lock") for path, entry in locked.items()}


def _from_hub(name: str, commit: str) -> dict[str, _Expected]:
    answered, files = list_repository(name, commit)
    if answered != commit:
        raise SnapshotError(f"{name}: the hub answered with commit {answered} when asked for {commit}")
    return {path: _expected(file) for path, file in files.items()}


def _expected(file: RemoteFile) -> _Expected:
    return _Expected(file.size, file.sha256, file.blob_id, "hub")


def _remove_leftovers(folder: Path, wanted: list[str]) -> None:
    """Files of an earlier attempt that this one does not take (another selection, code no longer allowed)."""
    useful = {*wanted, *(partial_path(Path(path)).as_posix() for path in wanted)}
    for path in list_folder(folder):
        if path not in useful:
            (folder / path).unlink()


def _check_space(folder: Path, size_bytes: int, model: str) -> None:
    present = sum((folder / path).stat().st_size for path in list_folder(folder))
    free = shutil.disk_usage(folder).free
    if size_bytes - present > free:
        raise SnapshotError(
            f"{model} needs {size_bytes - present} more bytes in {folder.parent}, where only {free} are free; "
            "make room there"
        )

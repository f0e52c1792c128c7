"""The files of a model: how they are listed, hashed and read."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from llenergymeasure.config.study.lock import FileHash
from llenergymeasure.models.errors import SnapshotError

# The record of a snapshot. It is not copied from a model that is a snapshot itself.
RECORD = "snapshot.json"
# No JSON file of a model is larger; one that is would fill the memory.
LARGEST_JSON = 200_000_000


def hash_file(path: Path) -> FileHash:
    """SHA-256 and size of a file. OSError when it cannot be read."""
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
        return FileHash(sha256=digest, size=stream.tell())


def content_digest(hashes: Mapping[str, str]) -> str:
    """SHA-256 over the sorted paths and the files' SHA-256: equal digests mean equal files, whatever the source."""
    lines = "".join(f"{path}\0{hashes[path]}\n" for path in sorted(hashes))
    return hashlib.sha256(lines.encode()).hexdigest()


def git_blob_id(path: Path) -> str:
    """The id git, and so the hub, gives a file: SHA-1 over `blob <size>\\0` and the content."""
    content = path.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def list_folder(folder: Path) -> list[str]:
    """Every file below `folder`, sorted. Follows links: Snakemake's cache makes a snapshot of them.

    A link that leads nowhere counts as a file. One that leads back to a folder above it is not followed, and what is no
    file (a pipe, a device) does not count: reading it might never end.
    """
    return sorted(_files_below(str(folder), "", frozenset()))


def _files_below(folder: str, prefix: str, above: frozenset[str]) -> Iterator[str]:
    inside = above | {os.path.realpath(folder)}
    try:
        names = os.listdir(folder)  # noqa: PTH208
    except OSError:
        return
    for name in names:
        path = os.path.join(folder, name)  # noqa: PTH118 - called for each of very many files
        try:
            mode = os.stat(path).st_mode  # noqa: PTH116
        except OSError:
            mode = stat.S_IFREG
        if stat.S_ISREG(mode):
            yield prefix + name
        elif stat.S_ISDIR(mode) and os.path.realpath(path) not in inside:
            yield from _files_below(path, f"{prefix}{name}/", inside)


def hash_folder(folder: Path) -> dict[str, FileHash]:
    """Hashes of every file below `folder`, by path."""
    return {path: hash_file(folder / path) for path in list_folder(folder)}


def read_object(content: bytes, name: str, model: str) -> dict[str, Any]:
    """A JSON object in a model's file of that name. SnapshotError (one line) where it is something else."""
    if is_lfs_pointer(content):
        raise SnapshotError(lfs_pointer(name, model))
    try:
        value = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise SnapshotError(f"{model}: {name} is not readable JSON; download it again") from error
    if not isinstance(value, dict):
        raise SnapshotError(f"{model}: {name} is not a JSON object")
    return value


def read_small(path: Path, name: str, model: str) -> bytes:
    """Content of a file that is small in every model. SnapshotError where it cannot be read."""
    try:
        size = path.stat().st_size
        if size > LARGEST_JSON:
            raise SnapshotError(f"{model}: {name} has {size} bytes, too many for such a file")
        return path.read_bytes()
    except OSError as error:
        raise SnapshotError(unreadable(path, name, model, error)) from error


def unreadable(path: Path, name: str, model: str, error: OSError) -> str:
    """Why a file cannot be read, in one line."""
    if path.is_symlink() and not path.exists():
        return f"{model}: {name} is a link to {path.readlink()}, which does not exist; restore it, or remove the link"
    return f"{model}: {name} cannot be read ({error.strerror or error})"


def is_lfs_pointer(content: bytes) -> bool:
    """Whether a file's first bytes are those of a git-lfs pointer, about 130 bytes in place of the file."""
    return content.startswith(b"version https://git-lfs")


def lfs_pointer(name: str, model: str) -> str:
    return f"{model}: {name} is a git-lfs pointer, not the file: run git lfs pull in its folder, or download it again"

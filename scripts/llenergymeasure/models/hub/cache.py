"""The Hugging Face cache: what other programs have downloaded is used, and what is downloaded here is kept there.

A file of the cache is hard-linked, so it takes no second place on disk. The link shares its content with the cache:
whoever writes into a file of the cache changes the snapshot, too. Nothing of ours writes into it, every file is hashed
before each load, and one that has changed is downloaded again.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
from pathlib import Path

from huggingface_hub import constants, try_to_load_from_cache
from huggingface_hub.file_download import repo_folder_name

_LARGE, _SMALL = re.compile("[0-9a-f]{64}"), re.compile("[0-9a-f]{40}")


def cached_file(name: str, commit: str, path: str) -> Path | None:
    """The file of a model in the cache; None where it is not there. Asks no hub."""
    file = try_to_load_from_cache(name, path, revision=commit)
    return Path(file) if isinstance(file, str) else None


def snapshot_folder(name: str, commit: str) -> Path:
    """Where the cache keeps a commit of a model. It need not exist."""
    return Path(constants.HF_HUB_CACHE, repo_folder_name(repo_id=name, repo_type="model"), "snapshots", commit)


def cached_blobs(name: str, commit: str) -> dict[str, tuple[int, str]]:
    """Size in bytes and name of the blob, of each file that the cache has of a commit. Asks no hub.

    A blob has the name that the hub gave it: SHA-256 for large files, git blob id for small ones.
    """
    folder = snapshot_folder(name, commit)
    links = [path for path in folder.rglob("*") if path.is_symlink() and path.is_file()]
    blobs = {path.relative_to(folder).as_posix(): (path.stat().st_size, path.readlink().name) for path in links}
    return {path: blob for path, blob in blobs.items() if _LARGE.fullmatch(blob[1]) or _SMALL.fullmatch(blob[1])}


def place(cached: Path, destination: Path) -> None:
    """Hard-link a file of the cache to `destination`; copy it where that is impossible, as between file systems."""
    destination.parent.mkdir(parents=True, exist_ok=True)
    destination.unlink(missing_ok=True)
    try:
        # The cache's snapshots are symbolic links, and a hard link to one would be another symbolic link.
        os.link(os.path.realpath(cached), destination)
    except OSError as error:
        if error.errno not in (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP, errno.EACCES):
            raise
        shutil.copyfile(cached, destination)


def cache_folder() -> Path:
    """Where the cache is, or its nearest parent that exists."""
    folder = Path(constants.HF_HUB_CACHE).expanduser().absolute()
    return next(path for path in (folder, *folder.parents) if path.is_dir())

"""Models from a local folder.

Weights are hard-linked: a snapshot costs no disk space and keeps the bytes even when the original file is
replaced or deleted. On another file system, where that is impossible, they are symbolic links. Both can
change under the snapshot when the original is overwritten in place; the recorded hashes then no longer fit
and `verify_snapshot` says so. Everything else is small and copied.
"""

from __future__ import annotations

import errno
import shutil
from pathlib import Path

from llenergymeasure.config.settings.model_ref import ModelRef
from llenergymeasure.config.study.lock import ModelsLock
from llenergymeasure.models.completeness import check_complete
from llenergymeasure.models.errors import SnapshotError
from llenergymeasure.models.files import hash_folder, list_folder, read_small
from llenergymeasure.models.selection import select_for, unread_weights
from llenergymeasure.models.sources import Fetched, Request

RESUMES = False


def fetch(request: Request) -> Fetched:
    """Link and copy the folder's model. SnapshotError when it is not a folder or holds no usable model."""
    origin = find_folder(request.ref)
    paths = _select(request, origin)
    check_complete(origin, paths, model=request.ref.text, is_adapter=request.is_adapter)
    for path in paths:
        target = request.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        if path.endswith(".safetensors"):
            _link((origin / path).resolve(), target)
        else:
            shutil.copyfile(origin / path, target)
    notes = {"weights": "linked", **unread_weights(list_folder(origin), paths)}
    return Fetched(hash_folder(request.folder), notes)


def find_folder(ref: ModelRef) -> Path:
    """The folder, absolute. SnapshotError when there is none."""
    origin = Path(ref.path).expanduser().absolute()
    try:
        there = origin.is_dir()
    except OSError as error:  # a name that is too long
        raise SnapshotError(f"{ref.text}: {error.strerror}; correct the name") from error
    if not there:
        raise SnapshotError(f"{ref.text}: there is no folder {origin}; correct the name, or put it there")
    return origin


def taken_files(ref: ModelRef, *, is_adapter: bool) -> dict[str, Path]:
    """The files that the folder's snapshot takes, by their path in it. SnapshotError where it holds no usable model."""
    origin = find_folder(ref)
    request = Request(ref, None, origin, ModelsLock(), allow_code=not is_adapter, is_adapter=is_adapter)
    return {path: origin / path for path in _select(request, origin)}


def _select(request: Request, origin: Path) -> list[str]:
    return select_for(request, list_folder(origin), lambda path: read_small(origin / path, path, request.ref.text))


def _link(origin: Path, target: Path) -> None:
    try:
        target.hardlink_to(origin)
    except OSError as error:
        if error.errno not in (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP, errno.EACCES):
            raise
        target.symlink_to(origin)

"""Why a model cannot be used, as far as files that are here already tell it. No hub is asked, no weights are read.

Imports no torch.
"""

from __future__ import annotations

from pathlib import Path

from huggingface_hub import is_offline_mode
from huggingface_hub.errors import OfflineModeIsEnabled

from llenergymeasure.config.settings.sources import SourceIntent
from llenergymeasure.config.study.lock import ModelsLock
from llenergymeasure.models.completeness import check_complete, check_names
from llenergymeasure.models.errors import SnapshotError
from llenergymeasure.models.files import read_small
from llenergymeasure.models.folder import find_folder, taken_files
from llenergymeasure.models.hub.api import endpoint
from llenergymeasure.models.hub.cache import cached_file, snapshot_folder
from llenergymeasure.models.hub.messages import hub_errors
from llenergymeasure.models.selection import select, select_adapter
from llenergymeasure.models.snapshot import read_snapshot
from llenergymeasure.models.tokenizer_files import missing_package


def why_unusable(source: SourceIntent, lock: ModelsLock, snapshots: Path) -> str | None:
    """One line; None where nothing is wrong, or where only the hub can tell. snapshots: the folder of all snapshots"""
    try:
        if source.ref.kind == "folder":
            return _folder(source)
        if source.ref.kind == "hub":
            return _hub(source, lock, snapshots / source.key)
    except SnapshotError as error:
        return str(error)
    return None


def _folder(source: SourceIntent) -> str | None:
    is_adapter = source.role == "adapter"
    taken = taken_files(source.ref, is_adapter=is_adapter)
    folder = find_folder(source.ref)
    check_complete(folder, taken, model=source.name, is_adapter=is_adapter)
    return _tokenizer(source, folder, list(taken))


def _hub(source: SourceIntent, lock: ModelsLock, made: Path) -> str | None:
    if made.is_dir() and read_snapshot(made).refused is None:
        return _tokenizer(source, made, list(read_snapshot(made).files))
    name, commit = source.ref.name, str(source.revision)
    locked = lock.files(name, commit)
    if locked is None:
        return None
    if source.role == "adapter":
        select_adapter(locked, model=name)
    else:
        check_names(locked, model=name)
    cached = [file for path in locked if (file := cached_file(name, commit, path)) is not None]
    if len(cached) == len(locked):
        return _in_cache(source, snapshot_folder(name, commit), list(locked))
    if is_offline_mode():
        with hub_errors(name, commit, endpoint()):
            raise OfflineModeIsEnabled
    return _tokenizer(source, snapshot_folder(name, commit), list(locked))


def _in_cache(source: SourceIntent, folder: Path, paths: list[str]) -> str | None:
    """A model that lies in the Hugging Face cache as a whole."""
    is_adapter = source.role == "adapter"
    if not is_adapter:
        paths = select(
            paths,
            model=source.name,
            allow_code=True,
            read=lambda path: read_small(folder / path, path, source.name),
        )
    check_complete(folder, paths, model=source.name, is_adapter=is_adapter)
    return _tokenizer(source, folder, paths)


def _tokenizer(source: SourceIntent, folder: Path, paths: list[str]) -> str | None:
    reason = missing_package(folder, paths) if source.role == "model" else None
    return None if reason is None else f"{source.name}: {reason}"

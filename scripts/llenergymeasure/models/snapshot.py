"""A snapshot: one folder with weights, config, tokenizer, and `snapshot.json` with the hash of each file.

Model and tokenizer come from the same snapshot, so they cannot be of different revisions.
"""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llenergymeasure.config.problems.text import first_line
from llenergymeasure.config.settings.model_ref import ModelRef, safe_relative_path
from llenergymeasure.config.study.lock import FileHash, ModelsLock
from llenergymeasure.models.completeness import check_code, check_complete
from llenergymeasure.models.errors import DestinationError, SnapshotError
from llenergymeasure.models.files import RECORD, content_digest, hash_file, list_folder
from llenergymeasure.models.selection import code_files
from llenergymeasure.models.sources import Request, source_for
from llenergymeasure.processes.file_lock import exclusive

__all__ = [
    "RECORD",
    "SNAPSHOT_SCHEMA",
    "Snapshot",
    "SnapshotError",
    "is_refused",
    "materialise",
    "publish",
    "publish_refusal",
    "read_snapshot",
    "refusals",
    "verify_snapshot",
]

SNAPSHOT_SCHEMA = 1
HASHED_AT_ONCE = 4
# Snakemake puts its own stamp into every directory() output.
_NOT_OURS = frozenset({RECORD, ".snakemake_timestamp"})

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Snapshot:
    """What `snapshot.json` says. `revision` is a commit (hub), a version (package) or None."""

    path: Path
    source: str
    model: str
    revision: str | None
    code_allowed: bool
    files: Mapping[str, FileHash]
    notes: Mapping[str, Any]

    @property
    def content_digest(self) -> str:
        """Of all files, as `files.content_digest`."""
        return content_digest({path: file.sha256 for path, file in self.files.items()})

    @property
    def refused(self) -> str | None:
        """Why the model cannot be had, for a record without files; None for a snapshot."""
        reason = self.notes.get("refused")
        return None if reason is None else str(reason)

    @property
    def has_code(self) -> bool:
        """True when the snapshot holds checked Python files, which `trust_remote_code` may run."""
        return self.code_allowed and bool(code_files(self.files))

    def may_run_code(self, asked: bool | None) -> bool:
        """Whether its Python files may run. A folder's files are not in a lock, so the study must ask for them.

        asked: pytorch.trust_remote_code
        """
        wanted = asked is True if self.source == "folder" else asked is not False
        return self.has_code and wanted

    @property
    def size_bytes(self) -> int:
        return sum(file.size for file in self.files.values())

    def to_dict(self) -> dict[str, Any]:
        """The record, also meant for the results: no paths of this machine, no times."""
        return {
            "schema_version": SNAPSHOT_SCHEMA,
            "source": self.source,
            "model": self.model,
            "revision": self.revision,
            "code_allowed": self.code_allowed,
            "content_digest": self.content_digest,
            "files": {path: self.files[path].model_dump() for path in sorted(self.files)},
            "notes": dict(self.notes),
        }


def materialise(
    ref: ModelRef,
    revision: str | None,
    destination: Path,
    *,
    lock: ModelsLock,
    allow_code: bool = False,
    is_adapter: bool = False,
) -> Snapshot:
    """Make `destination` the snapshot of a model and return its record.

    Everything is written to a hidden sibling, checked, and renamed, so an interrupted run leaves nothing that
    could be taken for a result. A snapshot that is already there and whole is kept; a damaged one is made
    again. `allow_code` also takes the model's Python files, where the lock has their hashes. An adapter has
    neither code nor a tokenizer. SnapshotError (one line) when the snapshot cannot be made.
    """
    destination = Path(destination)
    try:
        ref.check_revision(revision)
    except ValueError as error:
        raise SnapshotError(str(error)) from error
    try:
        with _alone(destination):
            kept = _kept(ref, revision, destination, allow_code)
            return kept or _make(destination, revision, lock, ref=ref, allow_code=allow_code, is_adapter=is_adapter)
    except OSError as error:
        raise DestinationError(f"{ref.text}: cannot write {destination} ({first_line(error)})") from error


def publish_refusal(ref: ModelRef, revision: str | None, destination: Path, reason: str) -> Snapshot:
    """Put a record without files in place of a model that cannot be had: what needs it fails for that reason.

    Making the snapshot later replaces it. DestinationError where it cannot be written.
    """
    work = destination.with_name(f".{destination.name}.refused")
    refusal = Snapshot(destination, ref.kind, ref.text, revision, False, {}, {"refused": reason})
    try:
        with _alone(destination):
            shutil.rmtree(work, ignore_errors=True)
            work.mkdir()
            publish(refusal, work)
            _counter(destination).write_text(str(refusals(destination) + 1), encoding="ascii")
    except OSError as error:
        raise DestinationError(f"{ref.text}: cannot write {destination} ({first_line(error)})") from error
    return refusal


def _alone(destination: Path) -> AbstractContextManager[None]:
    """Hold the lock of a destination: of two studies that need one model at the same time, the second waits for it."""
    destination.parent.mkdir(parents=True, exist_ok=True)
    return exclusive(destination.with_name(f".{destination.name}.lock"))


def read_snapshot(folder: Path) -> Snapshot:
    """The record in `folder`; nothing is hashed. SnapshotError when it is missing or not a snapshot record."""
    folder = Path(folder)
    try:
        content = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        version = content["schema_version"]
        snapshot = Snapshot(
            path=folder,
            source=content["source"],
            model=content["model"],
            revision=content["revision"],
            code_allowed=content["code_allowed"],
            files={path: FileHash(**entry) for path, entry in content["files"].items()},
            notes=content["notes"],
        )
    except OSError as error:
        raise SnapshotError(f"{folder} does not contain a snapshot ({RECORD} cannot be read); make it again") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise SnapshotError(f"{folder}/{RECORD} is not a snapshot record; delete {folder}") from error
    if version != SNAPSHOT_SCHEMA:
        raise SnapshotError(f"{folder}/{RECORD} is of schema version {version}; delete {folder}")
    if not all(safe_relative_path(path) for path in snapshot.files):
        raise SnapshotError(f"{folder}/{RECORD} names files outside the folder; delete {folder}")
    return snapshot


def is_refused(folder: Path) -> bool:
    """Whether the model of that folder could not be had."""
    try:
        return read_snapshot(folder).refused is not None
    except SnapshotError:
        return False


def refusals(folder: Path) -> int:
    """How often the model of that folder could not be had. Stays when it can be had later."""
    try:
        return int(_counter(folder).read_text(encoding="ascii"))
    except (OSError, ValueError):
        return 0


def _counter(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.refusals")


def verify_snapshot(folder: Path) -> Snapshot:
    """The record in `folder` after hashing every file. SnapshotError names the file that differs."""
    snapshot = read_snapshot(folder)
    present = set(list_folder(snapshot.path))
    for path in snapshot.files:
        if path not in present:
            raise SnapshotError(f"{snapshot.path}/{path} is missing; delete {snapshot.path} to make it again")
    # Hashing leaves Python free, so the shards of a large model are hashed side by side.
    with ThreadPoolExecutor(HASHED_AT_ONCE) as pool:
        hashes = pool.map(hash_file, [snapshot.path / path for path in snapshot.files])
        for path, file_hash in zip(snapshot.files, hashes, strict=True):
            if file_hash != snapshot.files[path]:
                raise SnapshotError(f"{snapshot.path}/{path} has changed; delete {snapshot.path} to make it again")
    for path in sorted(present - set(snapshot.files) - _NOT_OURS):
        raise SnapshotError(f"{snapshot.path}/{path} does not belong to the snapshot; remove it")
    return snapshot


def publish(snapshot: Snapshot, work: Path) -> None:
    """Make the finished folder `work` the snapshot, in one step; it replaces what was there before."""
    (work / RECORD).write_text(json.dumps(snapshot.to_dict(), indent=1, sort_keys=True) + "\n", encoding="utf-8")
    _remove(snapshot.path)
    work.rename(snapshot.path)


def _kept(ref: ModelRef, revision: str | None, destination: Path, allow_code: bool) -> Snapshot | None:
    """The whole snapshot already in `destination`, or None when it has to be made."""
    if not (destination / RECORD).exists():
        if set(list_folder(destination)) - _NOT_OURS:
            raise DestinationError(f"{destination} is not a snapshot, so it is not replaced; move it away")
        return None
    try:
        snapshot = read_snapshot(destination)
        if snapshot.refused is not None or (snapshot.model, snapshot.revision, snapshot.code_allowed) != (
            ref.text,
            revision,
            allow_code,
        ):
            return None
        # A folder can change without notice, so its snapshot is always made again.
        return verify_snapshot(destination) if ref.kind != "folder" else None
    except SnapshotError as error:
        log.warning("%s; making it again", error)
        return None


def _make(
    destination: Path, revision: str | None, lock: ModelsLock, *, ref: ModelRef, allow_code: bool, is_adapter: bool
) -> Snapshot:
    source = source_for(ref.kind)
    work = destination.with_name(f".{destination.name}.partial")
    if work.exists() and not source.RESUMES:
        shutil.rmtree(work)
    work.mkdir(parents=True, exist_ok=True)
    try:
        fetched = source.fetch(Request(ref, revision, work, lock, allow_code, is_adapter))
        check_complete(work, fetched.files, model=ref.text, is_adapter=is_adapter)
        if allow_code:
            check_code(work, fetched.files, model=ref.text)
    except SnapshotError:
        if not source.RESUMES:
            shutil.rmtree(work)
        raise
    snapshot = Snapshot(destination, ref.kind, ref.text, revision, allow_code, fetched.files, fetched.notes)
    publish(snapshot, work)
    return snapshot


def _remove(destination: Path) -> None:
    if destination.is_symlink():  # Snakemake's between-workflow cache leaves a link to the cached folder
        destination.unlink()
    elif destination.exists():
        shutil.rmtree(destination)

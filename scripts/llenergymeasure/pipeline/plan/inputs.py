"""What an experiment reads that its settings only name: its data file, and the folders of its models.

Their content can change under the same name, so the plan holds a digest of it. A file is hashed once: it is not read
again while its size, its times of change and its inode are the same. Only digests decide what is measured.

Imports no torch, because it runs when the study is read.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from llenergymeasure.config.settings.dataset import local_file
from llenergymeasure.config.settings.sources import SourceIntent, sources_from_intent
from llenergymeasure.models.errors import SnapshotError
from llenergymeasure.models.files import content_digest, hash_file, list_folder
from llenergymeasure.models.folder import find_folder, taken_files
from llenergymeasure.models.snapshot import Snapshot, read_snapshot
from llenergymeasure.records.setup import LoadRecord
from llenergymeasure.records.storage.atomic import write_json
from llenergymeasure.records.storage.parsing import BrokenRecord, read_record

DATASET = "dataset"
# A file that was written this recently may be written again within the resolution of its time stamp.
SETTLED_NS = 2 * 10**9
# How many values show, without reading a file, whether its content has changed.
STAMPS = 6
_SMALL_BYTES = 1_000_000


class InputDigests:
    """Digests of data files and model folders.

    cache_file: a JSON file with the digests of earlier calls; it may be missing
    models: the folder of the snapshots, which outlive the folders they were made from
    """

    def __init__(self, cache_file: Path, models: Path) -> None:
        self._cache_file = cache_file
        self._models = models
        self._known = _read(cache_file)
        self._used: dict[str, list[Any]] = {}
        self._of_file = cache(self._hash_file)
        self._of_folder = cache(self._hash_model)

    def of(self, intent: Mapping[str, Any]) -> dict[str, str]:
        """Digest by role: `dataset`, `model`, `assistant`, `adapter`. Only for files and folders that can be read.

        intent: nested settings, as in plan.json
        """
        digests: dict[str, str | None] = {}
        dataset = intent["dataset"]
        if dataset["source"] == "file" and dataset["path"] is not None:
            digests[DATASET] = self._of_file(local_file(dataset["path"]).absolute())
        for source in sources_from_intent(intent):
            if source.ref.kind == "folder":
                digests[source.role] = self._of_folder(source)
        return {role: digest for role, digest in digests.items() if digest is not None}

    def keep(self) -> None:
        """Write the digests to the cache. The file is small, and losing it only costs another hashing."""
        if self._used == self._known:
            return
        write_json({**self._known, **self._used}, self._cache_file)

    def _hash_model(self, source: SourceIntent) -> str | None:
        try:
            origin = find_folder(source.ref)
        except SnapshotError:
            return self._made_before(source)
        try:
            taken = taken_files(source.ref, is_adapter=source.role == "adapter")
        except (SnapshotError, OSError):
            return self._unusable(origin)
        hashes = {path: self._of_file(file.resolve()) for path, file in taken.items()}
        whole = {path: digest for path, digest in hashes.items() if digest is not None}
        return content_digest(whole) if len(whole) == len(hashes) else self._unusable(origin)

    def _made_before(self, source: SourceIntent) -> str | None:
        """Of the snapshot, where it is still there and the folder is not."""
        try:
            snapshot = read_snapshot(self._models / source.key)
        except SnapshotError:
            return None
        return None if snapshot.refused else snapshot.content_digest

    def _unusable(self, origin: Path) -> str:
        """Of a folder that holds no usable model: it changes when a file is added or a small one is changed."""
        digests = {}
        for path in list_folder(origin):
            file = origin / path
            size = file.stat().st_size if file.exists() else 0
            digests[path] = f"{size} {self._of_file(file.resolve()) if size < _SMALL_BYTES else None}"
        return content_digest(digests)

    def _hash_file(self, path: Path) -> str | None:
        """None where it cannot be read: the job that needs the file says what is wrong with it."""
        try:
            stat = path.stat()
            stamp = [stat.st_size, stat.st_mtime_ns, stat.st_ino, stat.st_dev, stat.st_nlink, stat.st_ctime_ns]
            known = self._known.get(str(path))
            digest: str = known[-1] if known is not None and _same(known[:-1], stamp) else hash_file(path).sha256
        except OSError:
            return None
        if time.time_ns() - stat.st_mtime_ns > SETTLED_NS:
            self._used[str(path)] = [*stamp, digest]
        return digest


def _same(known: Sequence[int], now: Sequence[int]) -> bool:
    """Whether nobody has written into the file since.

    Copying or restoring a file can give it its old time, but not the time when its entry changed, the last of the
    stamps. Linking weights into a snapshot changes that one too, and shows in the number of links.
    """
    *was, links_before, changed_before = known
    *held, links, changed = now
    return was == held and (links_before != links or changed_before == changed)


def require_content(snapshot: Snapshot, planned: str | None) -> None:
    """SnapshotError where a folder's snapshot has other contents than the plan was drawn for.

    planned: the digest in the plan; None where the model does not come from a folder
    """
    if planned is not None and snapshot.content_digest != planned:
        raise SnapshotError(
            f"{snapshot.path} does not contain what {snapshot.model} contained when this call began (content "
            f"{snapshot.content_digest[:12]}, planned {planned[:12]}); run again; if this line "
            f"appears again, delete {snapshot.path} first"
        )


def was_loaded(record: Path, planned: Mapping[str, str]) -> bool:
    """Whether the load record belongs to these contents, by role. Always true where nothing comes from a folder."""
    if not planned:
        return True
    try:
        weights = read_record(LoadRecord, record).weights
    except BrokenRecord:
        return False
    return all(weights.get(role) == digest for role, digest in planned.items())


def _read(cache_file: Path) -> dict[str, list[Any]]:
    try:
        content = json.loads(cache_file.read_text(encoding="utf-8"))
        return {path: entry for path, entry in content.items() if isinstance(entry, list) and len(entry) == STAMPS + 1}
    except (OSError, ValueError, AttributeError):
        return {}

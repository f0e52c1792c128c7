"""`snakemake pin`: resolve branch and tag names, and splits, to commits and write every file's hash into the lock."""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Iterable
from functools import partial
from pathlib import Path

from llenergymeasure.config.settings.model_ref import parse_model_ref
from llenergymeasure.config.study.lock import (
    DEFAULT_REVISION,
    DatasetAsked,
    DatasetPin,
    LockError,
    Pin,
    read_lock,
    write_lock,
)
from llenergymeasure.models.errors import PinError, SnapshotError
from llenergymeasure.models.hub.api import download, fetch_listed, hash_listed, list_repository
from llenergymeasure.models.hub.datasets import pin_dataset
from llenergymeasure.models.hub.splits import is_partial
from llenergymeasure.models.selection import select, select_adapter


def resolve_pins(
    models: Iterable[tuple[str, str | None]],
    lock_path: Path,
    *,
    adapters: Collection[str] = (),
    datasets: Iterable[tuple[str, DatasetAsked]] = (),
) -> list[str]:
    """Pin every (org/name, revision) and every data set, and write the lock; other entries are kept. One report line
    each. `adapters` names those models that are LoRA adapters.

    The hub states the SHA-256 of large files; small ones are downloaded and hashed, Python files among them,
    so that only the code that was there when the model was pinned can run. All or nothing: PinError (one line per
    problem) leaves the lock as it was.
    """
    try:
        lock = read_lock(lock_path)
    except LockError as error:
        raise PinError([str(error)]) from error
    report: list[str] = []
    problems: list[str] = []
    for name, revision in dict.fromkeys((name, revision or DEFAULT_REVISION) for name, revision in models):
        try:
            pin = _pin(name, revision, is_adapter=name in adapters)
        except SnapshotError as error:
            problems.append(str(error))
            continue
        report.append(_change(name, revision, lock.models.get(name, {}).get(revision), pin))
        lock = lock.with_pin(name, revision, pin)
    for name, asked in dict.fromkeys(datasets):
        try:
            dataset = pin_dataset(name, asked)
        except SnapshotError as error:
            problems.append(str(error))
            continue
        report.append(_dataset_change(name, lock.dataset(name, asked), dataset))
        lock = lock.with_dataset(name, dataset)
    if problems:
        raise PinError(problems)
    if report:
        write_lock(lock, lock_path)
    return report


def _pin(name: str, revision: str, *, is_adapter: bool) -> Pin:
    try:
        if parse_model_ref(name).kind != "hub":
            raise SnapshotError(f"{name} is not on a hub, so there is nothing to pin")
    except ValueError as error:
        raise SnapshotError(str(error)) from error
    commit, files = list_repository(name, revision)
    with tempfile.TemporaryDirectory() as folder:

        def fetch(path: str, again: bool) -> Path:
            target = Path(folder, path)
            download(name, commit, path, target, size=files[path].size, again=again)
            return target

        def read(path: str) -> bytes:
            return fetch_listed(partial(fetch, path), files[path], f"{name}@{commit}: {path}").read_bytes()

        if is_adapter:
            wanted = select_adapter(files, model=name)
        else:
            wanted = select(files, model=name, allow_code=True, read=read)
        hashes = {path: hash_listed(partial(fetch, path), files[path], f"{name}@{commit}: {path}") for path in wanted}
    return Pin(commit=commit, files=hashes)


def _dataset_change(name: str, before: DatasetPin | None, now: DatasetPin) -> str:
    of = f", config {now.config}" if now.config else ""
    what = f"data set {name}{of}{f', split {now.split}' if now.split else ''}"
    was = None if before is None else Pin(commit=before.commit, files=before.files)
    change = _change(what, now.revision, was, Pin(commit=now.commit, files=now.files))
    is_part = now.split is not None and any(is_partial(path) for path in now.files)
    return f"{change}; the hub's Parquet copy has only the first part of this split" if is_part else change


def _change(name: str, revision: str, before: Pin | None, now: Pin) -> str:
    files = f"{len(now.files)} files, {sum(file.size for file in now.files.values())} bytes"
    if before is None:
        return f"{name}: {revision} pinned to {now.commit} ({files})"
    if before == now:
        return f"{name}: {revision} unchanged at {now.commit}"
    if before.commit == now.commit:
        return f"{name}: {revision} still at {now.commit}, file hashes updated ({files})"
    return f"{name}: {revision} moved from {before.commit} to {now.commit} ({files})"

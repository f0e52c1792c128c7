"""The stage that makes a model's snapshot, or records why the model cannot be had. Imports no torch."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from llenergymeasure.config.settings.model_ref import ModelRef
from llenergymeasure.config.study.lock import ModelsLock
from llenergymeasure.models.errors import DestinationError, SnapshotError
from llenergymeasure.models.snapshot import Snapshot, materialise, publish_refusal, read_snapshot
from llenergymeasure.models.tokenizer_files import missing_package
from llenergymeasure.processes.inherited import stop_on_failure
from llenergymeasure.records.validity import Failure

# Snakemake's between-workflow cache would hand a refusal to users for whom the model can be had.
SHARED_CACHE = "SNAKEMAKE_OUTPUT_CACHE"
STAGE = "model"


def run_model(
    ref: ModelRef,
    revision: str | None,
    destination: Path,
    *,
    lock: ModelsLock,
    allow_code: bool,
    is_adapter: bool,
    log: Path,
) -> Snapshot:
    """Make the snapshot. Where the model cannot be had, record why: its experiments fail, and the others go on.

    SnapshotError where the study asks to stop then, or where it is the place that cannot be written.
    """
    try:
        return materialise(ref, revision, destination, lock=lock, allow_code=allow_code, is_adapter=is_adapter)
    except DestinationError:
        raise
    except SnapshotError as error:
        if stop_on_failure() or SHARED_CACHE in os.environ:
            raise
        print(f"{error} (the experiments that need it are recorded as failed)", file=sys.stderr, flush=True)
        with log.open("a", encoding="utf-8") as lines:
            print(error, file=lines)
        return publish_refusal(ref, revision, destination, str(error))


def refused_model(snapshots: Mapping[str, Path]) -> Failure | None:
    """The failure of a setup, one of whose models could not be had. snapshots: folder by role"""
    for folder in snapshots.values():
        snapshot = read_snapshot(folder)
        if snapshot.refused is not None:
            return Failure.of(STAGE, "SnapshotError", snapshot.refused, folder.parent / "logs" / f"{folder.name}.log")
    return None


def unread_tokenizer(snapshots: Mapping[str, Path], log: Path) -> Failure | None:
    """The failure of a setup whose tokenizer needs a package that is not installed."""
    model = read_snapshot(snapshots["model"])
    reason = missing_package(model.path, model.files)
    if reason is None:
        return None
    return Failure.of("load", "ImportError", f"{model.model}: {reason}", log)

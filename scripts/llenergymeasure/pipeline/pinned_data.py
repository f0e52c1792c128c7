"""Files of hub data sets as the lock describes them."""

from __future__ import annotations

from pathlib import Path

from llenergymeasure.config.study.lock import LockError, read_lock
from llenergymeasure.measurement.prompts.errors import PromptError
from llenergymeasure.measurement.prompts.sources.hub import fetch_hub_file
from llenergymeasure.models.files import hash_file
from llenergymeasure.processes.inherited import models_lock


def fetch_pinned(name: str, commit: str, path: str) -> Path:
    """The file on this machine. PromptError where it cannot be had, or is not the one that the lock describes.

    A data set that a study names by commit and path needs no entry in the lock.
    """
    file = fetch_hub_file(name, commit, path)
    try:
        pinned = read_lock(models_lock()).dataset_file(name, commit, path)
    except LockError as error:
        raise PromptError(str(error)) from error
    if pinned is not None and hash_file(file) != pinned:
        raise PromptError(
            f"{path} of data set {name}@{commit[:12]} is not the file that the lock describes; delete {file} and run "
            "again; if the same line appears, do not use this data set"
        )
    return file

"""Files of hub data sets as the lock describes them."""

from __future__ import annotations

from pathlib import Path

from huggingface_hub import is_offline_mode

from llenergymeasure.config.study.lock import LockError, read_lock
from llenergymeasure.measurement.prompts.errors import PromptError
from llenergymeasure.measurement.prompts.sources.hub import fetch_hub_file
from llenergymeasure.models.files import hash_file
from llenergymeasure.processes.inherited import models_lock


def fetch_pinned(name: str, commit: str, path: str) -> Path:
    """The file on this machine. PromptError where it cannot be had, or is not the one that the lock describes.

    A data set that a study names by commit and path needs no entry in the lock.
    """
    try:
        pinned = read_lock(models_lock()).dataset_file(name, commit, path)
    except LockError as error:
        raise PromptError(str(error)) from error
    if pinned is None:
        return fetch_hub_file(name, commit, path)
    file = fetch_hub_file(name, commit, path, size=pinned.size)
    if hash_file(file) == pinned:
        return file
    what = f"{path} of data set {name}@{commit[:12]}"
    if is_offline_mode():
        raise PromptError(
            f"{what} in the Hugging Face cache is not the file that the lock describes, and HF_HUB_OFFLINE is set; "
            "unset it, so that the file is downloaded again"
        )
    file = fetch_hub_file(name, commit, path, size=pinned.size, again=True)
    if hash_file(file) != pinned:
        raise PromptError(
            f"{what} is not the file that the lock describes, also after a second download; do not use this data set"
        )
    return file

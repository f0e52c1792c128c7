"""Files of a data set on the Hugging Face hub, pinned by its commit."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from llenergymeasure.config import DatasetConfig
from llenergymeasure.config.settings.model_ref import COMMIT
from llenergymeasure.measurement.prompts.errors import PromptError
from llenergymeasure.measurement.prompts.sources.formats import require_format
from llenergymeasure.measurement.prompts.sources.row_files import rows_from_files
from llenergymeasure.measurement.prompts.sources.source import Rows, RowSource, Wanted, required
from llenergymeasure.models.errors import SnapshotError
from llenergymeasure.models.hub.datasets import fetch_dataset_file


class Hub(RowSource):
    local = False

    def check(self, dataset: DatasetConfig) -> None:
        name, revision = required(dataset, "name"), dataset.revision or "main"
        if not COMMIT.fullmatch(revision) or dataset.path is None:
            raise PromptError(f"dataset.revision: {name} at {revision!r} is not pinned; run `snakemake pin`")
        for path in _paths(dataset):
            require_format(PurePosixPath(path).name)

    def open(self, dataset: DatasetConfig, wanted: Wanted) -> Rows:
        name, revision = required(dataset, "name"), required(dataset, "revision")

        def files() -> Iterator[tuple[str, Path]]:
            """A file is fetched when its first row is needed."""
            for path in _paths(dataset):
                yield f"{name}/{path}", wanted.fetch(name, revision, path)

        return rows_from_files(dataset, wanted, name, files)


def _paths(dataset: DatasetConfig) -> list[str]:
    return [dataset.path] if isinstance(dataset.path, str) else list(dataset.path or [])


def fetch_hub_file(name: str, revision: str, path: str, *, size: int | None = None, again: bool = False) -> Path:
    """A file of a data set at a commit, from the Hugging Face cache or, where it is not there, the hub.

    size and again as in `fetch_dataset_file`
    With HF_HUB_OFFLINE set (as in the process that measures) only the cache is asked.
    """
    try:
        return fetch_dataset_file(name, revision, path, size=size, again=again)
    except SnapshotError as error:
        raise PromptError(str(error)) from error

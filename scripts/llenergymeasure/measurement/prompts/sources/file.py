"""A file of the user's."""

from __future__ import annotations

from pathlib import Path

from llenergymeasure.config import DatasetConfig
from llenergymeasure.config.settings.dataset import local_file
from llenergymeasure.measurement.prompts.errors import PromptError
from llenergymeasure.measurement.prompts.sources.formats import require_format
from llenergymeasure.measurement.prompts.sources.row_files import rows_from_files
from llenergymeasure.measurement.prompts.sources.source import Rows, RowSource, Wanted, required


class File(RowSource):
    local = True

    def check(self, dataset: DatasetConfig) -> None:
        path = local_file(required(dataset, "path"))
        require_format(path.name)
        try:
            what = None if path.is_file() else "is not a file" if path.exists() else "does not exist"
        except OSError as error:  # a name that is too long
            what = f"cannot be opened ({error.strerror})"
        if what is not None:
            raise PromptError(f"dataset.path: {path} {what} (a relative path starts at {Path.cwd()})")

    def open(self, dataset: DatasetConfig, wanted: Wanted) -> Rows:
        path = local_file(required(dataset, "path"))
        return rows_from_files(dataset, wanted, str(path), lambda: [(str(path), path)])

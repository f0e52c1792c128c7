"""A file of the user's: its first rows."""

from __future__ import annotations

from pathlib import Path

from llenergymeasure.config import DatasetConfig
from llenergymeasure.measurement.prompts.errors import PromptError
from llenergymeasure.measurement.prompts.sources.row_files import LOCAL_FORMATS, first_rows, require_format
from llenergymeasure.measurement.prompts.sources.source import Texts, TextSource, Wanted, required


class File(TextSource):
    local = True

    def check(self, dataset: DatasetConfig) -> None:
        path = Path(required(dataset, "path"))
        required(dataset, "column")
        require_format(path.name, LOCAL_FORMATS)
        if not path.is_file():
            what = "is not a file" if path.exists() else "does not exist"
            raise PromptError(f"dataset.path: {path} {what} (a relative path starts at {Path.cwd()})")

    def read(self, dataset: DatasetConfig, wanted: Wanted) -> Texts:
        path = Path(required(dataset, "path"))
        return first_rows(path, str(path), required(dataset, "column"), wanted.n, kind="file")

"""Studies written to real files."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from llenergymeasure.config import Study, StudyError, load_study

MODEL = "random:llama?hidden_size=64&seed=7"

Load = Callable[..., Study]
Refuse = Callable[..., list[str]]


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str], Path]:
    def write_study(text: str) -> Path:
        path = tmp_path / "study.yaml"
        path.write_text(textwrap.dedent(text).lstrip("\n"), encoding="utf-8")
        return path

    return write_study


@pytest.fixture
def load(write: Callable[[str], Path], tmp_path: Path) -> Load:
    """Load the study of a text; `lock_path` is a file that is not there unless one is given."""

    def load_text(text: str, **options: object) -> Study:
        options.setdefault("lock_path", tmp_path / "models.lock.yaml")
        return load_study(write(text), **options)  # type: ignore[arg-type]

    return load_text


@pytest.fixture
def refuse(load: Load, tmp_path: Path) -> Refuse:
    """The lines a study is refused with, without the folder of the file."""

    def lines(text: str, **options: object) -> list[str]:
        with pytest.raises(StudyError) as caught:
            load(text, **options)
        return str(caught.value).replace(f"{tmp_path}/", "").splitlines()

    return lines

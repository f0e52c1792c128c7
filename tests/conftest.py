"""What all tests share: a folder with studies, Snakemake run on it the way a user does, and a tiny model."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from harness import TINY, Pipeline  # noqa: E402

from llenergymeasure.config.settings.model_ref import parse_model_ref  # noqa: E402
from llenergymeasure.config.study.lock import ModelsLock  # noqa: E402
from llenergymeasure.models.snapshot import materialise  # noqa: E402


@pytest.fixture
def pipeline(tmp_path: Path) -> Pipeline:
    """An empty working directory for studies."""
    return Pipeline(tmp_path)


@pytest.fixture(scope="session")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny random Llama for the workers."""
    folder = tmp_path_factory.mktemp("models") / "tiny"
    return materialise(parse_model_ref(TINY), None, folder, lock=ModelsLock()).path

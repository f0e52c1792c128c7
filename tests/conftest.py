"""What all tests share: a folder with studies, and Snakemake run on it the way a user does."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from harness import Pipeline  # noqa: E402


@pytest.fixture
def pipeline(tmp_path: Path) -> Pipeline:
    """An empty working directory for studies."""
    return Pipeline(tmp_path)

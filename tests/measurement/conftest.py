"""A tiny random Llama for the workers."""

from __future__ import annotations

from pathlib import Path

import pytest
from harness import TINY

from llenergymeasure.config.settings.model_ref import parse_model_ref
from llenergymeasure.config.study.lock import ModelsLock
from llenergymeasure.models.snapshot import materialise


@pytest.fixture(scope="session")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "tiny"
    return materialise(parse_model_ref(TINY), None, folder, lock=ModelsLock()).path

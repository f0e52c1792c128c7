"""The runner of the engine's tests, on a CUDA device; what uses it skips where there is none."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from engine.conftest import Runner


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runner]:
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    before = torch.backends.cuda.matmul.allow_tf32
    yield Runner(tmp_path_factory.mktemp("models"))
    torch.backends.cuda.matmul.allow_tf32 = before

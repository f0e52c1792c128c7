"""Keep progress bars out of logs. Warnings still come through."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partialmethod
from unittest.mock import patch

from tqdm.auto import tqdm  # type: ignore[import-untyped]


@contextmanager
def no_progress_bars() -> Iterator[None]:
    """Every bar of transformers is a tqdm, but its own switch does not reach the one of the GGUF reader."""
    with patch.object(tqdm, "__init__", partialmethod(tqdm.__init__, disable=True)):
        yield

"""How much of a large study the page shows: nobody reads ten thousand rows, and browsers are slow with them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")
# Rows of a table, and configurations whose evidence is unfolded.
MOST = 200


@dataclass(frozen=True)
class Shown(Generic[T]):
    """The first rows; `left_out` others are in the file that the page names."""

    rows: Sequence[T]
    left_out: int


def shown(items: Sequence[T], most: int = MOST) -> Shown[T]:
    return Shown(items[:most], max(0, len(items) - most))

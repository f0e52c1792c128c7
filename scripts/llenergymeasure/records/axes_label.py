"""Experiments in words: the matrix values by the last part of their path."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def label(axes: Mapping[str, Any]) -> str:
    """`batch_size=4 attn_implementation=eager`."""
    return " ".join(f"{path.rsplit('.', 1)[-1]}={value}" for path, value in axes.items() if value is not None)


def common_label(members: Sequence[Mapping[str, Any]]) -> str:
    """The values that all of these experiments agree on; empty where there is none."""
    return label(
        {
            path: value
            for path, value in members[0].items()
            if value is not None and all(axes.get(path) == value for axes in members)
        }
    )

"""A cell of a table that was read back: None where it is empty."""

from __future__ import annotations

from typing import Any

import pandas as pd


def none_if_nan(value: Any) -> Any:
    """The value as it is; None for NaN, NA and NaT."""
    return None if value is None or pd.isna(value) else value


def text_or_none(value: Any) -> str | None:
    return None if (known := none_if_nan(value)) is None else str(known)


def float_or_none(value: Any) -> float | None:
    return None if (known := none_if_nan(value)) is None else float(known)

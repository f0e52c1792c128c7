"""Bytes of a model's weights in memory, from the headers of its safetensors files. Imports no torch."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

# Stored in these, weights are read in the number format of `precision`.
CONVERTED = {"F64", "F32", "F16", "BF16"}
ITEM_BYTES: Mapping[str, int] = {"fp32": 4, "fp16": 2, "bf16": 2}
"""Of `precision`: bytes per number."""
# Quantizers leave the matrices between tokens and numbers as they are.
_NOT_QUANTIZED = re.compile(r"embed|lm_head|wte|wpe|shared\.weight|word_")


def resident_bytes(
    tensors: Iterable[tuple[str, Mapping[str, Any]]], item_bytes: int | None, linear_bits: float | None = None
) -> int:
    """Bytes of the tensors, from the entries of `stored_tensors`; floating point ones with `item_bytes` per number.

    None leaves them as they are stored. linear_bits: per number of a matrix that is quantized while it is loaded
    """
    total = 0.0
    for name, tensor in tensors:
        numbers = math.prod(tensor["shape"])
        if item_bytes is None or tensor["dtype"] not in CONVERTED:
            start, end = tensor["data_offsets"]
            total += end - start
        elif linear_bits is not None and len(tensor["shape"]) == 2 and not _NOT_QUANTIZED.search(name):
            total += numbers * linear_bits / 8
        else:
            total += numbers * item_bytes
    return round(total)

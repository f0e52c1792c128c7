"""The size of the work: on a board, and in a rehearsal, where the processor stands in for the board."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


class NotHere(Exception):
    """This machine cannot answer the question; the message says what it lacks."""


@dataclass(frozen=True)
class Scale:
    """Sizes and durations of every part.

    model: fields of a Llama configuration, of 1.0 billion parameters on a board
    rows, prompt_tokens: of the batch whose forwards are counted
    stream_bytes, copies_per_pass: of the memory that is copied in the windows; on a board a pass is some tens of ms
    lengths_s: windows, in an order in which neither a steady drift of the power nor a warming that levels off shows as
        an intercept; the short ones are the most frequent, because there the edges weigh most
    idle_s, busy_s, settle_s: the step of the load: before it, while it lasts, after the last one
    latency_calls: of each NVML function
    pairs: of stretches of `passes_per_window` passes with and without a window
    """

    rehearsal: bool
    device: str
    model: Mapping[str, Any]
    dtype: str
    rows: int
    prompt_tokens: int
    stream_bytes: int
    copies_per_pass: int
    decode_tokens: int
    lengths_s: tuple[float, ...]
    idle_s: float
    busy_s: float
    settle_s: float
    latency_calls: int
    pairs: int
    passes_per_window: int


BOARD = Scale(
    rehearsal=False,
    device="cuda",
    model={
        "hidden_size": 2048,
        "intermediate_size": 8192,
        "num_hidden_layers": 16,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "vocab_size": 32000,
    },
    dtype="bfloat16",
    rows=16,
    prompt_tokens=512,
    stream_bytes=1 << 30,
    copies_per_pass=40,
    decode_tokens=64,
    lengths_s=(2.0, 4.0, 1.0, 1.0, 1.0, 1.0, 1.0, 4.0, 4.0, 2.0, 1.0),
    idle_s=2.0,
    busy_s=2.5,
    settle_s=8.0,
    latency_calls=60,
    pairs=12,
    passes_per_window=1,
)
REHEARSAL = Scale(
    rehearsal=True,
    device="cpu",
    model={
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "vocab_size": 320,
    },
    dtype="float32",
    rows=2,
    prompt_tokens=16,
    stream_bytes=16 << 20,
    copies_per_pass=2,
    decode_tokens=8,
    lengths_s=(0.8, 1.2, 0.4, 1.2),
    idle_s=1.0,
    busy_s=1.0,
    settle_s=1.0,
    latency_calls=10,
    pairs=1,
    passes_per_window=2,
)


def cuda_only(scale: Scale) -> None:
    """Refuse a question that the processor cannot answer in a board's place.

    Raises:
        NotHere: in a rehearsal.
    """
    if scale.device != "cuda":
        raise NotHere("needs a CUDA device")

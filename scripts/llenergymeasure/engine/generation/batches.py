"""Left-padded batches of token ids, and what each row of an output holds."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import torch

from llenergymeasure.engine.generation.stop_strings import StopStrings


@dataclass(frozen=True)
class Batch:
    """`input_ids` and `attention_mask`: int64, shape (rows, longest prompt), padded on the left."""

    input_ids: torch.Tensor
    attention_mask: torch.Tensor
    prompt_lengths: tuple[int, ...]
    first_request: int

    @property
    def rows(self) -> int:
        return len(self.prompt_lengths)

    @property
    def width(self) -> int:
        return int(self.input_ids.shape[1])

    def prompt_ids(self) -> list[list[int]]:
        """The ids of each row without its padding."""
        rows = zip(self.input_ids.tolist(), self.prompt_lengths, strict=True)
        return [ids[len(ids) - length :] for ids, length in rows]


@dataclass(frozen=True)
class Row:
    """What one request got: `output_ids` ends with the first end-of-sequence token, if there is one."""

    output_ids: tuple[int, ...]
    trailing_pads: int
    stop_reason: str

    @property
    def digest(self) -> str:
        return digest_of_ids(self.output_ids)


def make_batches(
    prompts: Sequence[Sequence[int]],
    batch_size: int,
    pad_token_id: int,
    device: torch.device,
    *,
    first_request: int = 0,
) -> list[Batch]:
    """Consecutive prompts, `batch_size` at a time (the last batch may be smaller), already on the device.

    Padding goes to the left: a decoder-only model continues from the last position, so pads on the right
    would change the outputs of short prompts. `first_request` is the number of the first prompt in the whole set.
    """
    batches = []
    for first in range(0, len(prompts), batch_size):
        members = prompts[first : first + batch_size]
        width = max(len(ids) for ids in members)
        rows = [[pad_token_id] * (width - len(ids)) + list(ids) for ids in members]
        masks = [[0] * (width - len(ids)) + [1] * len(ids) for ids in members]
        batches.append(
            Batch(
                input_ids=torch.tensor(rows, dtype=torch.long, device=device),
                attention_mask=torch.tensor(masks, dtype=torch.long, device=device),
                prompt_lengths=tuple(len(ids) for ids in members),
                first_request=first_request + first,
            )
        )
    return batches


def read_rows(
    sequences: torch.Tensor,
    width: int,
    eos_token_ids: Collection[int],
    max_new_tokens: int,
    strings: StopStrings | None = None,
) -> list[Row]:
    """Split generated sequences, shape (rows, width + new), into what each row really generated.

    Tokens count up to and with the first end-of-sequence token, or the one that completes a stop string; what follows
    is padding.
    """
    rows = sequences[:, width:].tolist()
    stops = [None] * len(rows) if strings is None else strings.ends(sequences, width)
    return [row_from_ids(ids, eos_token_ids, max_new_tokens, stop) for ids, stop in zip(rows, stops, strict=True)]


def row_from_ids(
    ids: Sequence[int], eos_token_ids: Collection[int], max_new_tokens: int, stop: int | None = None
) -> Row:
    """The tokens that one row really generated. stop: tokens until a stop string was complete, None if none was."""
    end = next((place + 1 for place, token in enumerate(ids) if token in eos_token_ids), None)
    if stop is not None and (end is None or stop < end):
        end, reason = stop, "stopped"
    elif end is not None:
        reason = "eos"
    elif len(ids) >= max_new_tokens:
        reason = "length"
    else:
        reason = "stopped"
    kept = len(ids) if end is None else end
    return Row(tuple(ids[:kept]), len(ids) - kept, reason)


def digest_of_ids(ids: Sequence[int]) -> str:
    """SHA-256 over the ids written as decimal numbers with commas."""
    return hashlib.sha256(",".join(map(str, ids)).encode("ascii")).hexdigest()

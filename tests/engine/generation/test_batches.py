"""Left padding, and counting what a row really holds."""

from __future__ import annotations

import pytest
import torch

from llenergymeasure.engine.generation.batches import make_batches, read_rows
from llenergymeasure.engine.generation.generation import token_intervals

CPU = torch.device("cpu")


def test_batches_are_padded_on_the_left_and_masked() -> None:
    first, last = make_batches([[5, 6, 7], [8], [9, 9]], 2, pad_token_id=0, device=CPU)
    assert first.input_ids.tolist() == [[5, 6, 7], [0, 0, 8]]
    assert first.attention_mask.tolist() == [[1, 1, 1], [0, 0, 1]]
    assert first.prompt_lengths == (3, 1)
    assert last.input_ids.tolist() == [[9, 9]]
    assert last.first_request == 2


def test_tokens_count_up_to_and_with_the_first_end_of_sequence() -> None:
    sequences = torch.tensor([[0, 1, 4, 2, 2, 2], [3, 1, 4, 4, 4, 4], [3, 1, 4, 4, 4, 2]])
    short, long, last = read_rows(sequences, width=2, eos_token_ids={2}, max_new_tokens=4)
    assert (short.output_ids, short.trailing_pads, short.stop_reason) == ((4, 2), 2, "eos")
    assert (long.output_ids, long.trailing_pads, long.stop_reason) == ((4, 4, 4, 4), 0, "length")
    assert last.stop_reason == "eos"
    assert short.digest != long.digest


def test_without_end_tokens_every_row_has_its_full_length() -> None:
    (row,) = read_rows(torch.tensor([[1, 2, 2]]), width=1, eos_token_ids=frozenset(), max_new_tokens=2)
    assert (len(row.output_ids), row.stop_reason) == (2, "length")


def test_intervals_are_the_differences_of_the_stamps() -> None:
    assert token_intervals([1.0, 1.5, 2.5], [1, 2, 3]) == [0.5, 1.0]


def test_a_step_of_several_tokens_shares_its_time_among_them() -> None:
    assert token_intervals([1.0, 1.6, 2.0], [1, 4, 5]) == pytest.approx([0.2] * 3 + [0.4])
    assert token_intervals([1.0, 2.0], [3, 4]) == [0.0, 0.0, 1.0]

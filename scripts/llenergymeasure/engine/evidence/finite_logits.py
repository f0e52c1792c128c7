"""Whether the model's logits are numbers: greedy decoding takes a token from rows of NaN as from any other row."""

from __future__ import annotations

import torch
from transformers import LogitsProcessor


class FiniteLogits(LogitsProcessor):
    """Stands before all other processors, changes nothing, and counts rows whose largest logit is not a number.

    That one reduction over logits of shape (rows, vocabulary) finds NaN and +inf, and rows that are -inf throughout;
    a single -inf, with which models and processors ban tokens, does not count. The counts stay on the device until
    they are read, so that no step waits for it. In a beam search the library hands over log-probabilities, where
    every +inf has become NaN.
    """

    supports_continuous_batching = True

    def __init__(self) -> None:
        self._bad: dict[torch.device, torch.Tensor] = {}
        self.rows = 0

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:  # noqa: ARG002
        bad = (~torch.isfinite(scores.amax(dim=-1))).sum()
        held = self._bad.get(scores.device)
        self._bad[scores.device] = bad if held is None else held + bad
        self.rows += scores.shape[0]
        return scores

    @property
    def bad_rows(self) -> int:
        """Waits for the device."""
        return sum(int(number) for number in self._bad.values())

"""What a logits processor did to the real logits, counted while it ran."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import Any

import torch


@dataclass
class ProcessorEffect:
    """One processor of one pass. Counts are per row: `kept` tokens with a finite logit, `changed` finite logits.

    `scale` is the mean ratio of the finite logits before to those after, None where a logit was changed unevenly.
    """

    processor: Any
    calls: int = 0
    rows: int = 0
    kept_least: int | None = None
    kept_most: int | None = None
    kept_before_most: int | None = None
    changed_rows: int = 0
    banned: int = 0
    scale: float | None = None

    @property
    def name(self) -> str:
        return type(self.processor).__name__

    def add(self, before: torch.Tensor, after: torch.Tensor) -> None:
        """Compare logits of shape (rows, vocabulary) before and after the processor."""
        kept_before, kept = torch.isfinite(before), torch.isfinite(after)
        numbers = kept.sum(dim=-1)
        self.calls += 1
        self.rows += before.shape[0]
        least, most = int(numbers.min()), int(numbers.max())
        self.kept_least = least if self.kept_least is None else min(self.kept_least, least)
        self.kept_most = most if self.kept_most is None else max(self.kept_most, most)
        before_most = int(kept_before.sum(dim=-1).max())
        self.kept_before_most = max(self.kept_before_most or 0, before_most)
        both = kept & kept_before
        self.changed_rows += int(((before != after) & both).any(dim=-1).sum())
        self.banned += int((kept_before & ~kept).sum())
        self._rescaled(before[both].double(), after[both].double())

    def _rescaled(self, before: torch.Tensor, after: torch.Tensor) -> None:
        large = before.abs() > 1e-3
        if not bool(large.any()):
            return
        # A logit that was divided by a number in half precision is a rounded one: the mean is the number.
        ratio = float((before[large] / after[large]).mean())
        if math.isfinite(ratio):
            self.scale = ratio if self.scale is None else (self.scale * (self.calls - 1) + ratio) / self.calls

    def text(self) -> str:
        return f"{self.name} ran {self.calls} times and kept {self.kept_least} to {self.kept_most} tokens"


def count_effects(processor: Any) -> ProcessorEffect:
    """Make the processor count what it does. Its class stays a subclass of the same name, so the library's own
    `isinstance` tests still hold."""
    effect = ProcessorEffect(processor)
    kind = type(processor)

    # The library reads the signature to see what a processor wants.
    @functools.wraps(kind.__call__)
    def counting(self: Any, input_ids: torch.Tensor, scores: torch.Tensor, *rest: Any, **named: Any) -> torch.Tensor:
        # A processor may write into its argument.
        before = scores.clone()
        after: torch.Tensor = kind.__call__(self, input_ids, scores, *rest, **named)
        if self is processor:
            effect.add(before, after)
        return after

    processor.__class__ = type(kind.__name__, (kind,), {"__call__": counting, "__module__": kind.__module__})
    return effect

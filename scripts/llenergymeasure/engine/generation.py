"""`model.generate()` on prepared batches, with a time stamp a token and nothing else inside the window."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from transformers import StoppingCriteria, StoppingCriteriaList

from llenergymeasure.engine.batches import Batch, Row, read_rows
from llenergymeasure.engine.devices import Clock, DeviceKind
from llenergymeasure.engine.failure import library_call


class TokenStamps(StoppingCriteria):
    """Stamps every decoding step on the device's own clock; `generate` calls it once a step, after the token.

    With `first_only` it also ends generation after the first step: a prefill-only pass, with the same shapes,
    cache and compiled code as the full one.
    """

    def __init__(self, clock: Clock, *, first_only: bool) -> None:
        self._clock = clock
        self._answer = first_only
        self._answers: dict[tuple[int, torch.device], torch.Tensor] = {}
        self.marks: list[Any] = []
        self.widths: list[int] = []

    def __call__(self, input_ids: torch.Tensor, scores: Any, **kwargs: Any) -> torch.Tensor:  # noqa: ARG002
        self.marks.append(self._clock.mark())
        self.widths.append(input_ids.shape[1])
        key = (input_ids.shape[0], input_ids.device)
        if key not in self._answers:
            self._answers[key] = torch.full((key[0],), self._answer, dtype=torch.bool, device=key[1])
        return self._answers[key]


@dataclass(frozen=True)
class RawBatch:
    """One `generate` call: stamps and the returned sequences, unread so that nothing waits for the device."""

    batch: Batch
    start: Any
    end: Any
    marks: Sequence[Any]
    widths: Sequence[int]
    sequences: torch.Tensor


@dataclass(frozen=True)
class Request:
    """One prompt in one pass. Times in seconds from the moment its batch was handed to `generate`."""

    pass_index: int
    request_index: int
    batch_index: int
    input_tokens: int
    row: Row
    padded_tokens: int
    ttft_s: float
    itl_s: tuple[float, ...]
    e2e_latency_s: float

    @property
    def mean_itl_s(self) -> float | None:
        """Mean inter-token latency, (last token − first token) / (tokens − 1); None for a single token."""
        return statistics.fmean(self.itl_s) if self.itl_s else None


@dataclass
class Generator:
    """Runs passes over a fixed prompt set with fixed keywords. A pass is every prompt once, in order."""

    model: Any
    devices: DeviceKind
    batches: Sequence[Batch]
    keywords: Mapping[str, Any]
    seed: int
    max_new_tokens: int
    eos_token_ids: frozenset[int]
    raw: list[list[RawBatch]] = field(default_factory=list)

    @property
    def requests_per_pass(self) -> int:
        return sum(batch.rows for batch in self.batches)

    def run_pass(self, *, prefill_only: bool = False) -> None:
        """Generate for every batch and keep the raw result. Sampling starts from the same seed in every pass."""
        torch.manual_seed(self.seed)
        clock = self.devices.clock
        done: list[RawBatch] = []
        for batch in self.batches:
            stamps = TokenStamps(clock, first_only=prefill_only)
            with library_call("generate"):
                start = clock.mark()
                sequences = self.model.generate(
                    batch.input_ids,
                    attention_mask=batch.attention_mask,
                    stopping_criteria=StoppingCriteriaList([stamps]),
                    **self.keywords,
                )
                end = clock.mark()
            done.append(RawBatch(batch, start, end, stamps.marks, stamps.widths, sequences))
        self.raw.append(done)

    def take_raw(self) -> list[list[RawBatch]]:
        """What the passes so far left, and an empty list for the next."""
        raw, self.raw = self.raw, []
        return raw

    def pass_seconds(self, raw_pass: Sequence[RawBatch]) -> float:
        """Time from the first batch's start to the last batch's end, in seconds."""
        return self.devices.clock.seconds(raw_pass[0].start, raw_pass[-1].end)

    def read(self, raw: Sequence[Sequence[RawBatch]]) -> list[Request]:
        """Turn raw passes into requests. Only after the devices were synchronised."""
        requests = []
        for pass_index, raw_pass in enumerate(raw):
            for batch_index, item in enumerate(raw_pass):
                requests.extend(self._read_batch(pass_index, batch_index, item))
        return requests

    def _read_batch(self, pass_index: int, batch_index: int, item: RawBatch) -> list[Request]:
        rows = read_rows(item.sequences, item.batch.width, self.eos_token_ids, self.max_new_tokens)
        seconds = self.devices.clock.seconds
        ttft_s = seconds(item.start, item.marks[0])
        e2e_s = seconds(item.start, item.end)
        intervals = token_intervals(
            [seconds(item.start, mark) for mark in item.marks],
            [width - item.batch.width for width in item.widths],
        )
        return [
            Request(
                pass_index=pass_index,
                request_index=item.batch.first_request + place,
                batch_index=batch_index,
                input_tokens=length,
                row=row,
                padded_tokens=item.batch.width - length + row.trailing_pads,
                ttft_s=ttft_s,
                itl_s=tuple(intervals[: len(row.output_ids) - 1]),
                e2e_latency_s=e2e_s,
            )
            for place, (length, row) in enumerate(zip(item.batch.prompt_lengths, rows, strict=True))
        ]


def token_intervals(step_times_s: Sequence[float], tokens_so_far: Sequence[int]) -> list[float]:
    """Seconds between successive tokens, from the time of each step and the tokens there were after it.

    A step that yields several tokens (accepted look-up tokens) shares its time equally among them. The first step
    belongs to TTFT; tokens it yielded beyond the first one came at the same instant.
    """
    if not step_times_s:
        return []
    intervals = [0.0] * (tokens_so_far[0] - 1)
    for place in range(1, len(step_times_s)):
        tokens = tokens_so_far[place] - tokens_so_far[place - 1]
        if tokens > 0:
            step_s = step_times_s[place] - step_times_s[place - 1]
            intervals.extend([step_s / tokens] * tokens)
    return intervals

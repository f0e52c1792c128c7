"""`model.generate()` on prepared batches, with one time stamp per token and nothing else inside the window."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from transformers import StoppingCriteria, StoppingCriteriaList

from llenergymeasure.engine.devices import Anchor, Clock, DeviceKind
from llenergymeasure.engine.failure import library_call
from llenergymeasure.engine.generation.batches import Batch, read_rows
from llenergymeasure.engine.generation.cache import describe_cache
from llenergymeasure.engine.generation.generation import Generation, Generator, Instrumented, Request, token_intervals
from llenergymeasure.engine.generation.seeds import PassSeeds
from llenergymeasure.engine.generation.stop_strings import StopStrings


class TokenStamps(StoppingCriteria):
    """Stamps every decoding step on the device's own clock; `generate` calls it once per step, after the token.

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


@dataclass
class StaticGenerator(Generator):
    """A batch runs until its last row is done; then comes the next batch."""

    model: Any
    devices: DeviceKind
    batches: Sequence[Batch]
    keywords: Mapping[str, Any]
    seeds: PassSeeds
    max_new_tokens: int
    eos_token_ids: frozenset[int]
    strings: StopStrings | None = None
    inference_mode: bool = False
    raw: list[list[RawBatch]] = field(default_factory=list)

    @property
    def requests_per_pass(self) -> int:
        return sum(batch.rows for batch in self.batches)

    def run_pass(self, *, prefill_only: bool = False) -> None:
        torch.manual_seed(self.seeds.seed(len(self.raw)))
        clock = self.devices.clock
        done: list[RawBatch] = []
        for batch in self.batches:
            stamps = TokenStamps(clock, first_only=prefill_only)
            with library_call("generate"), torch.inference_mode(self.inference_mode):
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

    def run_instrumented(self) -> Instrumented:
        torch.manual_seed(self.seeds.seed(0))
        instrumented = Instrumented()
        for batch in self.batches:
            stamps = TokenStamps(self.devices.clock, first_only=False)
            with library_call("generate"), torch.inference_mode(self.inference_mode):
                output = self.model.generate(
                    batch.input_ids,
                    attention_mask=batch.attention_mask,
                    stopping_criteria=StoppingCriteriaList([stamps]),
                    **{**self.keywords, "return_dict_in_generate": True},
                )
            instrumented.steps += stamps.widths
            instrumented.rows += read_rows(
                output.sequences, batch.width, self.eos_token_ids, self.max_new_tokens, self.strings
            )
            instrumented.batch_rows.append(batch.rows)
            instrumented.prompt_lengths += batch.prompt_lengths
            instrumented.prompt_ids += batch.prompt_ids()
            instrumented.cache = describe_cache(getattr(output, "past_key_values", None))
            instrumented.inference = output.sequences.is_inference()
        self.devices.synchronize()
        return instrumented

    def take_raw(self) -> list[list[RawBatch]]:
        raw, self.raw = self.raw, []
        return raw

    def pass_seconds(self, raw_pass: Sequence[RawBatch]) -> float:
        return self.devices.clock.seconds(raw_pass[0].start, raw_pass[-1].end)

    def read(self, raw: Sequence[Sequence[RawBatch]]) -> list[Request]:
        requests = []
        for pass_index, raw_pass in enumerate(raw):
            for batch_index, item in enumerate(raw_pass):
                requests.extend(self._read_batch(pass_index, batch_index, item))
        return requests

    def timeline(self, raw: Sequence[Sequence[RawBatch]], anchor: Anchor) -> list[Generation] | None:
        at = self.devices.clock.host_seconds
        return [
            Generation(at(anchor, item.start), steps_s[0], at(anchor, item.end), steps_s)
            for raw_pass in raw
            for item in raw_pass
            for steps_s in [tuple(at(anchor, mark) for mark in item.marks)]
        ]

    def close(self) -> None:
        self.raw = []

    def _read_batch(self, pass_index: int, batch_index: int, item: RawBatch) -> list[Request]:
        rows = read_rows(item.sequences, item.batch.width, self.eos_token_ids, self.max_new_tokens, self.strings)
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

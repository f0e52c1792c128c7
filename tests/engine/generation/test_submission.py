"""Latencies from submission and in service, of passes whose times are known."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from llenergymeasure.engine.generation.batches import Batch
from llenergymeasure.engine.generation.continuous_batching import ContinuousGenerator, RawPass
from llenergymeasure.engine.generation.generation import Request
from llenergymeasure.engine.generation.seeds import PassSeeds
from llenergymeasure.engine.generation.static_batching import RawBatch, StaticGenerator

# Two prompts in each of three batches; seconds of the wall clock at which the batch began, and of its three tokens.
BATCHES = ((100.0, (100.5, 100.6, 100.7)), (100.8, (101.1, 101.3, 101.5)), (101.5, (102.5, 102.6, 102.7)))
END_S = 0.05  # from a batch's last token to the return of generate()
CLOCK = SimpleNamespace(seconds=lambda start, end: end - start)


def static() -> list[Request]:
    raw = []
    for place, (start_s, stamps_s) in enumerate(BATCHES):
        ids = torch.ones(2, 4, dtype=torch.long)
        batch = Batch(first_request=2 * place, input_ids=ids, attention_mask=ids, prompt_lengths=(4, 4))
        sequences = torch.full((2, 7), 5)
        raw.append(RawBatch(batch, start_s, stamps_s[-1] + END_S, stamps_s, (5, 6, 7), sequences))
    generator = StaticGenerator(
        model=None,
        devices=SimpleNamespace(clock=CLOCK),  # type: ignore[arg-type]
        batches=[item.batch for item in raw],
        keywords={},
        seeds=PassSeeds(0),
        max_new_tokens=3,
        eos_token_ids=frozenset(),
        strings=None,
    )
    return generator.read([raw, raw])


def continuous(begun_s: list[float]) -> list[Request]:
    """The same tokens at the same times, from one pass of the library's scheduler."""
    outputs: list[Any] = [
        SimpleNamespace(timestamps=list(stamps_s), generated_tokens=[5, 5, 5], lifespan=(begun, stamps_s[-1]))
        for (_, stamps_s), begun in zip([pair for pair in BATCHES for _ in range(2)], begun_s, strict=True)
    ]
    generator = ContinuousGenerator(
        model=None,
        devices=SimpleNamespace(),  # type: ignore[arg-type]
        prompts=[[1, 2, 3, 4]] * 6,
        first_request=0,
        keywords={},
        options={},
        seeds=PassSeeds(0),
        max_new_tokens=3,
        eos_token_ids=frozenset(),
    )
    return generator.read([RawPass(100.0, 102.75, outputs)])


def test_a_batch_waits_for_those_before_it() -> None:
    one_pass = [request for request in static() if request.pass_index == 0]
    assert [request.ttft_s for request in one_pass] == pytest.approx([0.5, 0.5, 1.1, 1.1, 2.5, 2.5])
    assert [request.e2e_latency_s for request in one_pass] == pytest.approx([0.75, 0.75, 1.55, 1.55, 2.75, 2.75])


def test_in_service_nothing_waits() -> None:
    one_pass = [request for request in static() if request.pass_index == 0]
    assert [request.service_ttft_s for request in one_pass] == pytest.approx([0.5, 0.5, 0.3, 0.3, 1.0, 1.0])
    assert [request.service_e2e_latency_s for request in one_pass] == pytest.approx([0.75] * 4 + [1.25] * 2)


def test_each_pass_is_a_submission_of_its_own() -> None:
    first, second = ([request.ttft_s for request in static() if request.pass_index == turn] for turn in (0, 1))
    assert first == second


def test_static_and_continuous_batching_count_from_the_same_moment() -> None:
    begun_s = [start_s for start_s, _ in BATCHES for _ in range(2)]
    both = [request for request in static() if request.pass_index == 0], continuous(begun_s)
    for one, other in zip(*both, strict=True):
        assert one.ttft_s == pytest.approx(other.ttft_s)
        assert one.service_ttft_s == pytest.approx(other.service_ttft_s)
        assert one.itl_s == pytest.approx(other.itl_s)
        # generate() returns the whole batch a moment after its last token.
        assert one.e2e_latency_s == pytest.approx(other.e2e_latency_s + END_S)


def test_a_request_that_was_evicted_after_its_first_token_counts_from_submission() -> None:
    for request in continuous([102.65] * 6):
        assert request.service_ttft_s == request.ttft_s > 0

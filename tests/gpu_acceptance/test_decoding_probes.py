"""Which passes the probes run, in which order, and what they count in them."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace

import pytest
import torch
from benchmarks.gpu.probes import decoding, sampler_cost, work
from benchmarks.gpu.probes.streaming import Streaming
from benchmarks.gpu.scale import BOARD, REHEARSAL

from llenergymeasure.config import EnergyConfig
from llenergymeasure.engine.generation.static_batching import StaticGenerator


def test_a_pass_of_streaming_copies_memory_back_and_forth() -> None:
    work = Streaming(dataclasses.replace(REHEARSAL, copies_per_pass=1))
    work._pair[1].fill_(7)
    work.run_pass()
    assert work._pair[0].unique().tolist() == [7]
    work._pair[0].fill_(3)
    work._copies = 2
    work.run_pass(prefill_only=True)
    assert work._pair[1].unique().tolist() == [7], "there, and back"
    raw = work.take_raw()
    assert len(raw) == 2 and not work.take_raw()
    assert 0 < work.pass_seconds(raw[0]) < 1.0


def test_recordings_after_the_third_pass_are_counted_and_unknown_where_nothing_counts_them() -> None:
    recorded = [{"graphs_recorded": min(turn, 2)} for turn in range(9)]
    assert decoding.recorded_after(recorded) == 0
    recorded[6:] = [{"graphs_recorded": 4}, {"graphs_recorded": 0}, {"graphs_recorded": 1}]
    assert decoding.recorded_after(recorded) == 3, "also where a manager was given up in between"
    assert decoding.recorded_after([{"frames_compiled": 1}] * 9) is None


def test_a_whole_pass_is_timed_after_the_one_that_makes_the_plans(monkeypatch: pytest.MonkeyPatch) -> None:
    took_s = iter([0.5, 4.2, 0.1, 0.8])
    monkeypatch.setattr(StaticGenerator, "pass_seconds", lambda *_: next(took_s))
    figures = decoding.prefill_only(REHEARSAL)
    assert (figures["forwards_of_prefill"], figures["forwards_of_all"]) == (1, REHEARSAL.decode_tokens)
    assert (figures["prefill_s"], figures["first_all_s"], figures["all_s"]) == (0.1, 4.2, 0.8)
    assert figures["step_s"] == pytest.approx(0.7 / 7)


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The number of tokens of each pass so far."""
    original, passes = StaticGenerator.run_pass, list[int]()

    def run_pass(self: StaticGenerator, *, prefill_only: bool = False) -> None:
        original(self, prefill_only=prefill_only)
        passes.append(1 if prefill_only else self.max_new_tokens)

    monkeypatch.setattr(StaticGenerator, "run_pass", run_pass)
    return passes


# A board whose model lies on the processor.
AS_A_BOARD = dataclasses.replace(REHEARSAL, device="cuda")


def test_the_collector_runs_after_the_first_static_pass_only(ran: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    collected, taken, take = list[int](), list[int](), StaticGenerator.take_raw
    monkeypatch.setattr(decoding, "gc", SimpleNamespace(collect=lambda: collected.append(len(ran))))
    monkeypatch.setattr(StaticGenerator, "take_raw", lambda self: (taken.append(len(ran)), take(self))[1])
    figures = decoding.graphs(AS_A_BOARD)
    assert len(figures["passes"]) == decoding.STATIC_PASSES
    assert (collected, taken) == ([1], [decoding.STATIC_PASSES // 2 + 1, decoding.STATIC_PASSES])


def test_the_cost_of_a_profile_is_seen_in_three_passes_of_32_tokens(ran: list[int]) -> None:
    decoding.profiler_cost(AS_A_BOARD)
    assert ran == [32] * 6 + [1] + [32] * 3


def test_the_longer_interval_is_tried_last_and_in_half_as_many_pairs(
    ran: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    configs = list[EnergyConfig]()

    @contextmanager
    def window(*_: object) -> Iterator[None]:
        ran.append(-1)
        yield
        ran.append(-2)

    def opened(config: EnergyConfig) -> SimpleNamespace:
        configs.append(config)
        return SimpleNamespace(window=window, close=lambda: None)

    monkeypatch.setattr(sampler_cost, "open_meters", opened)
    sampler_cost.at_200_ms(dataclasses.replace(AS_A_BOARD, pairs=4, passes_per_window=1))
    tokens = REHEARSAL.decode_tokens
    warm_up = [tokens] * sampler_cost.WARM_UP
    assert ran == [*warm_up, tokens, -1, tokens, -2, -1, tokens, -2, tokens]
    assert [config.power_interval_s for config in configs] == [0.2]
    assert list(sampler_cost.QUESTIONS) == ["at_default", "stamp", "at_200_ms"]
    assert (BOARD.pairs, BOARD.passes_per_window, BOARD.decode_tokens) == (12, 1, 64)


def test_the_thread_that_loads_the_board_sets_its_device_before_anything_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    calls, device = list[tuple[str, int]](), torch.device("cpu")

    class Matrix:
        def __init__(self) -> None:
            self.device = device

        def __matmul__(self, other: object) -> None:
            calls.append(("product", threading.get_ident()))

    monkeypatch.setattr(work, "_matrix", lambda _: Matrix())
    monkeypatch.setattr(torch.cuda, "set_device", lambda _: calls.append(("device", threading.get_ident())))
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: time.sleep(1e-3))
    busy = work.Products(8)
    busy.start()
    while len(calls) < 2:
        time.sleep(1e-3)
    busy.finish()
    assert [name for name, _ in calls[:2]] == ["device", "product"]
    assert calls[0][1] == calls[1][1] != threading.get_ident()

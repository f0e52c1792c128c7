"""Figures of the acceptance from readings and records whose truth is known."""

from __future__ import annotations

import dataclasses
import json
import math
import random
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from benchmarks import gpu_energy
from benchmarks.gpu import evidence_tests, records, study_run
from benchmarks.gpu.probes import counter_lag, decoding, environment, nvml_calls, sampler_cost, window_lengths, work
from benchmarks.gpu.probes.counter_lag import Reading
from benchmarks.gpu.probes.streaming import Streaming
from benchmarks.gpu.scale import BOARD, REHEARSAL

from llenergymeasure.config import EnergyConfig
from llenergymeasure.engine.generation.static_batching import StaticGenerator

IDLE_W, BUSY_W, TICK_S, POLL_S = 70.0, 600.0, 0.1, 0.001
BUSY_S = [(103.0, 105.5), (107.5, 110.0)]
END_S = 116.0


def watts(time_s: float, decay_s: float = 0.0) -> float:
    for begin_s, end_s in BUSY_S:
        if begin_s <= time_s < end_s:
            return BUSY_W
        if end_s <= time_s < end_s + decay_s:
            return 1.5 * IDLE_W
    return IDLE_W


def readings(lag_s: float, *, tick_s: float = TICK_S, decay_s: float = 0.0) -> list[Reading]:
    """Polls of a counter that shows at each tick what was drawn until `lag_s` before it."""
    fine_s, joules, drawn = 1e-3, {}, 0.0
    for step in range(int((END_S - 99.0) / fine_s) + 1):
        joules[step] = drawn
        drawn += watts(99.0 + step * fine_s, decay_s) * fine_s
    found, time_s, jitter = [], 101.0, random.Random(0)
    while time_s < END_S:
        tick = int((time_s - 100.0) / tick_s) * tick_s + 100.0
        shown = joules[round((tick - lag_s - 99.0) / fine_s)]
        found.append(Reading(time_s, 1e6 + shown, watts(time_s, decay_s)))
        time_s += POLL_S * jitter.uniform(0.5, 1.5)
    return found


@pytest.mark.parametrize("lag_s", [0.0, 0.02, 0.05, 0.1, 0.25])
@pytest.mark.parametrize("tick_s", [0.02, 0.1])
def test_the_lag_of_a_counter_is_found(lag_s: float, tick_s: float) -> None:
    found = counter_lag.lags(readings(lag_s, tick_s=tick_s), BUSY_S)
    assert [*found["lag_up_s"], *found["lag_down_s"]] == pytest.approx([lag_s] * 4, abs=0.004)
    assert found["largest_lag_s"] == pytest.approx(lag_s, abs=0.004)
    assert found["lag_of_power_s"] == pytest.approx([0.0] * 4, abs=0.004)
    assert (found["idle_w"], found["busy_w"]) == pytest.approx((IDLE_W, BUSY_W), rel=0.01)
    assert (found["idle_by_power_w"], found["busy_by_power_w"]) == (IDLE_W, BUSY_W)


def test_a_load_that_does_not_show_is_no_lag_of_zero() -> None:
    flat = [Reading(item.time_s, 1e6 + 100 * round(item.time_s, 1), 100.0) for item in readings(0.0)]
    with pytest.raises(ValueError, match="the load does not show"):
        counter_lag.lags(flat, BUSY_S)


def test_the_time_until_idle_power_has_settled_is_found() -> None:
    ended_s = BUSY_S[-1][1]
    assert counter_lag.settling(readings(0.0, decay_s=2.0), ended_s)["settle_s"] == pytest.approx(2.0, abs=0.26)
    assert counter_lag.settling(readings(0.0), ended_s)["settle_s"] <= 0.26


def windows_of(drawn_j: Callable[[float], float], off_s: float) -> list[dict[str, float]]:
    """Windows of the board's lengths over a board that has drawn so much at a time; each is too long by `off_s`."""
    rows, begin_s = [], 100.0
    for length_s in BOARD.lengths_s:
        joules = drawn_j(begin_s + length_s) - drawn_j(begin_s) + 300.0 * off_s
        rows.append({"begin_s": begin_s, "seconds": length_s, "joules": joules})
        begin_s += length_s + 1.2
    return rows


@pytest.mark.parametrize("warms_s", [2.0, 5.0, 10.0, 20.0, 40.0])
def test_a_board_that_warms_shows_no_intercept(warms_s: float) -> None:
    def drawn_j(time_s: float) -> float:
        """5 % more in the end than when the warm-up began, 4 s before the first window, with this time constant."""
        return 300.0 * (time_s + 0.05 * warms_s * math.exp(-(time_s - 96.0) / warms_s))

    assert abs(window_lengths.line_of(windows_of(drawn_j, 0.0))["intercept_s"]) < 0.001
    assert window_lengths.line_of(windows_of(drawn_j, 0.03))["intercept_s"] == pytest.approx(0.03, abs=0.001)


def test_the_windows_of_a_board_are_mostly_short_and_last_22_s_in_all() -> None:
    many = {length_s: BOARD.lengths_s.count(length_s) for length_s in BOARD.lengths_s}
    assert many == {1.0: 6, 2.0: 2, 4.0: 3} and sum(BOARD.lengths_s) == 22.0


def test_work_at_the_power_limit_is_told_by_the_worst_window_and_its_share_of_the_limit() -> None:
    rows = [{"power_limited": 0.0}, {"power_limited": 0.25}, {"power_limited": None}]
    assert window_lengths.at_limit(rows, 420.0, 700.0) == {"share_of_limit": 0.6, "power_limited": 0.25}
    assert window_lengths.at_limit(rows[2:], 420.0, None) == {"share_of_limit": None, "power_limited": None}


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


def test_the_standard_error_of_a_median_is_that_of_normal_values() -> None:
    assert sampler_cost.standard_error([1.0, 1.2, 1.1, 1.3]) == pytest.approx(0.0809, abs=1e-4)
    assert sampler_cost.standard_error([1.0]) is None


def test_long_steps_are_counted_in_windows_and_outside() -> None:
    found = sampler_cost.steps_of([0.01] * 6 + [0.0131, 0.05], [0.01] * 7 + [0.0129])
    assert (found["long_steps_inside"], found["long_steps_outside"]) == (0.25, 0.0)
    found = sampler_cost.steps_of([0.011] * 4, [0.01] * 8)
    assert (found["step_inside_s"], found["step_outside_s"]) == (0.011, 0.01)


def test_a_ramp_of_the_board_is_in_both_lags_and_not_beyond_the_power() -> None:
    ramp = [Reading(each.time_s + 0.1, each.counter_j, each.power_w) for each in readings(0.0)]
    found = counter_lag.lags(ramp, BUSY_S)
    assert found["largest_lag_s"] == pytest.approx(0.1, abs=0.005)
    assert abs(found["largest_lag_beyond_power_s"]) < 0.006
    late = counter_lag.lags(readings(0.1), BUSY_S)
    assert late["largest_lag_beyond_power_s"] == pytest.approx(0.1, abs=0.005)


def test_the_intercept_is_the_time_by_which_windows_are_off() -> None:
    rows = windows_of(lambda time_s: 300.0 * time_s, 0.05)
    found = window_lengths.line_of(rows)
    assert (found["watts"], found["intercept_s"], found["intercept_j"]) == pytest.approx((300.0, 0.05, 15.0), abs=1e-4)
    assert found["drift_w_per_s"] == pytest.approx(0.0, abs=1e-4)
    assert found["intercept_standard_error_s"] == pytest.approx(0.0, abs=1e-5)
    assert found["watts_by_length"]["1.0"] == pytest.approx(315.0)
    rows[2]["joules"] += 6.0
    assert window_lengths.line_of(rows)["intercept_standard_error_s"] > 0.003


def test_gaps_between_ticks_have_a_median_and_a_spread() -> None:
    assert nvml_calls.gaps([0.0, 0.1, 0.2, 0.3, 0.41]) == {"steps": 5, "median_ms": 100.0, "spread": 0.05}
    assert nvml_calls.gaps([1.0])["median_ms"] is None


def test_recordings_after_the_third_pass_are_counted_and_unknown_where_nothing_counts_them() -> None:
    recorded = [{"graphs_recorded": min(turn, 2)} for turn in range(9)]
    assert decoding.recorded_after(recorded) == 0
    recorded[6:] = [{"graphs_recorded": 4}, {"graphs_recorded": 0}, {"graphs_recorded": 1}]
    assert decoding.recorded_after(recorded) == 3, "also where a manager was given up in between"
    assert decoding.recorded_after([{"frames_compiled": 1}] * 9) is None


def test_a_whole_pass_is_timed_after_the_one_that_makes_the_plans(monkeypatch: pytest.MonkeyPatch) -> None:
    took_s = iter([0.5, 4.2, 0.1, 0.8])
    monkeypatch.setattr(StaticGenerator, "pass_seconds", lambda *_: next(took_s))
    found = decoding.prefill_only(REHEARSAL)
    assert (found["forwards_of_prefill"], found["forwards_of_all"]) == (1, REHEARSAL.decode_tokens)
    assert (found["prefill_s"], found["first_all_s"], found["all_s"]) == (0.1, 4.2, 0.8)
    assert found["step_s"] == pytest.approx(0.7 / 7)


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
    found = decoding.graphs(AS_A_BOARD)
    assert len(found["passes"]) == decoding.STATIC_PASSES
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


def record(replicate: int, joules: float, *, cache: str | None, rows: int, **changes: Any) -> dict[str, Any]:
    settings = {"attn_implementation": "sdpa", "batch_size": rows, "cache_implementation": cache, "device_map": None}
    return {
        "replicate": replicate,
        "status": "ok",
        "failure": None,
        "validity": {"verdict": "valid", "reasons": []},
        "config": {"pytorch": settings},
        "metrics": {records.JOULES: joules, records.SPEED: 100.0},
        "evidence": {"pytorch.cache_implementation": {"observed": "StaticCache", "verdict": "applied"}},
        "energy": [
            {"phase": "generate", "energy_j": 100.0, "expanded_uncertainty_j": 5.0, "cross_check": {"ratio": 1.01}}
        ],
        "memory": {"at_window": {"in_use_bytes": 3_000_000}},
        "energy_source": "measured:nvml-total-energy",
        "warnings": [],
        **changes,
    }


def six(**changes: Any) -> list[dict[str, Any]]:
    kinds = [(None, 1, 4.0), (None, 8, 1.0), ("static", 8, 0.8)]
    return [
        record(replicate, joules * (1 + 0.002 * replicate), cache=cache, rows=rows, **changes)
        for replicate in (1, 2)
        for cache, rows, joules in kinds
    ]


def test_the_records_of_a_study_are_counted_and_compared() -> None:
    found = records.figures_of(six(), [{"status": "ok", "memory": {"resident_bytes": 2_000_000}, "energy": []}])
    assert (found["records"], found["ok_and_valid"]) == (6, 6)
    assert found["static_over_dynamic"] == pytest.approx(0.8)
    assert found["joules_cv"] == pytest.approx(0.0014, abs=1e-4)
    assert found["speed_cv"] == 0
    assert len(found["experiments"]) == 3
    first = found["experiments"]["attn_implementation=sdpa batch_size=1"][0]
    assert first["cache_left_bytes"] == 1_000_000 and first["expanded95_share"] == [0.05]


def test_a_doubtful_or_failed_record_is_not_counted_as_valid() -> None:
    lines = six()
    lines[0] |= {"validity": {"verdict": "suspect", "reasons": [{"code": "throttled"}]}}
    lines[1] |= {"status": "failed", "failure": {"error_class": "OutOfMemory"}, "validity": None, "metrics": None}
    lines[2] |= {"metrics": {records.JOULES: None}}
    found = records.figures_of(lines, [])
    assert found["ok_and_valid"] == 4
    assert found["codes"] == {"throttled": 1, "failed: OutOfMemory": 1}
    assert found["static_over_dynamic"] == pytest.approx(0.8, rel=0.01)


def test_a_line_that_cannot_be_read_costs_the_others_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "sessions" / "a" / "1"
    folder.mkdir(parents=True)
    lines = [json.dumps(each) for each in six()]
    whole = "\n".join([lines[0], lines[1][:50], "[]", *lines[2:], ""]).encode() + b"\xff{"
    (folder / "measurements.jsonl").write_bytes(whole)
    (tmp_path / "setups" / "b").mkdir(parents=True)
    (tmp_path / "setups" / "b" / "load.json").write_text("{", encoding="utf-8")
    (found, unreadable), (loads, lost) = records.read_records(tmp_path), records.read_loads(tmp_path)
    assert (len(found), unreadable, loads, lost) == (5, 3, [], 1)
    figures = records.figures_of(found, loads, unreadable + lost)
    assert (figures["records"], figures["ok_and_valid"], figures["unreadable"]) == (5, 5, 4)


def test_a_record_that_failed_before_its_settings_were_known_is_shown() -> None:
    failed = {"replicate": 1, "status": "failed", "failure": {"error_class": "X"}, "config": {"model": "m"}}
    found = records.figures_of([*six(), failed], [])
    assert (found["records"], found["ok_and_valid"], found["codes"]) == (7, 6, {"failed: X": 1})


def test_replicates_vary_by_the_worst_experiment_and_pooled() -> None:
    joules = {1: (1.0, 1.02), 4: (1.0, 1.0)}
    lines = [
        record(turn, values[turn - 1], cache=None, rows=rows) for rows, values in joules.items() for turn in (1, 2)
    ]
    found = records.figures_of(lines, [])
    assert found["joules_cv"] == pytest.approx(0.0140, abs=1e-4)
    assert found["joules_cv_pooled"] == pytest.approx(found["joules_cv"] / math.sqrt(2))


def test_energy_that_is_not_of_the_counter_is_counted() -> None:
    lines = six()
    assert records.figures_of(lines, [])["by_counter"] == 6
    lines[0] |= {"energy_source": "measured:nvml-power"}
    assert records.figures_of(lines, [])["by_counter"] == 5


def test_the_seconds_of_a_studys_jobs_are_kept_also_where_it_is_stopped(tmp_path: Path) -> None:
    program = (
        "import time; print('Finished jobid: 5 (Rule: model)', flush=True); time.sleep(0.5);"
        "print('Finished jobid: 8 (Rule: load)', flush=True); time.sleep({then_s})"
    )
    code, jobs = study_run.timed_jobs([sys.executable, "-c", program.format(then_s=0)], tmp_path, 30.0)
    assert code == 0 and [job["rule"] for job in jobs] == ["model", "load"]
    assert 0.4 <= jobs[1]["seconds"] < 5.0 and jobs[1]["ended_s"] >= jobs[0]["ended_s"] + 0.4
    code, jobs = study_run.timed_jobs([sys.executable, "-c", program.format(then_s=600)], tmp_path, 5.0)
    assert code is None and [job["rule"] for job in jobs] == ["model", "load"]


@pytest.mark.slow
def test_a_test_that_takes_too_long_is_interrupted_and_the_others_are_reported(tmp_path: Path) -> None:
    tests, report = tmp_path / "test_long.py", tmp_path / "report.xml"
    tests.write_text("import time\ndef test_first(): pass\ndef test_second(): time.sleep(600)\n", encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={report}", str(tests)]
    begun_s = time.monotonic()
    assert not evidence_tests.run_tests([*command, "--rootdir", str(tmp_path), "-c", "/dev/null"], 6.0)
    assert time.monotonic() - begun_s < 6.0 + evidence_tests.ENDING_S + 1.0
    found = evidence_tests.outcomes(report.read_text(encoding="utf-8"))
    assert found == {"passed": 1, "not_passed": {"one": "stopped: the time was over"}}
    assert evidence_tests.run_tests([*command, "--rootdir", str(tmp_path), "-c", "/dev/null", "-k", "first"], 60.0)


def test_what_carried_packages_require_and_lack_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = {"a": ["b>=2", "c", 'd; extra == "more"', "e>=1"], "gone": None}
    versions = {"b": "1.0", "e": "1.5"}

    def answer(table: dict[str, Any], name: str) -> Any:
        if name not in table or name == "gone":
            raise metadata.PackageNotFoundError(name)
        return table[name]

    monkeypatch.setattr(environment, "carried", lambda _: list(asked))
    monkeypatch.setattr(metadata, "requires", lambda name: answer(asked, name))
    monkeypatch.setattr(metadata, "version", lambda name: answer(versions, name))
    assert environment.unmet(BOARD) == ["a needs b>=2, not 1.0", "a needs c", "gone itself"]


def test_a_study_that_left_nothing_gives_no_ratio() -> None:
    found = records.figures_of([], [])
    assert (found["ok_and_valid"], found["joules_cv"], found["static_over_dynamic"]) == (0, None, None)


def test_the_tests_of_evidence_are_read_from_their_report() -> None:
    report = """<testsuites><testsuite><testcase name="a"/><testcase name="b"><failure message="no\n graph"/></testcase>
    <testcase name="c"><skipped message="no bitsandbytes"/></testcase></testsuite></testsuites>"""
    assert evidence_tests.outcomes(report) == {
        "passed": 1,
        "not_passed": {"b": "failure: no graph", "c": "skipped: no bitsandbytes"},
    }


def test_the_benchmark_of_energy_prints_watts_per_length_and_the_intercept(capsys: pytest.CaptureFixture[str]) -> None:
    steady = [[(length, 300.0 * length)] * 3 for length in gpu_energy.LENGTHS_S]
    late = [[(length, 300.0 * (length - 0.1) + wobble) for wobble in (-1, 0, 1)] for length in gpu_energy.LENGTHS_S]
    assert gpu_energy.print_table({"ours": steady, "naive": late})
    assert not gpu_energy.print_table({"ours": late, "naive": steady})
    ours, naive = capsys.readouterr().out.splitlines()[1:3]
    assert "1 s: 300.00 W (0.000%)" in ours and "10 s: 300.00 W" in ours and "+0.0000 ± 0.0000 s" in ours
    assert "1 s: 270.00 W" in naive and "-30.000 J = -0.1000" in naive

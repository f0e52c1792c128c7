"""Figures of the acceptance from readings and records whose truth is known."""

from __future__ import annotations

import json
import math
import random
import sys
import time
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from benchmarks import gpu_energy
from benchmarks.gpu import evidence_tests, records, study_run
from benchmarks.gpu.probes import counter_lag, decoding, environment, nvml_calls, window_lengths
from benchmarks.gpu.probes.counter_lag import Reading
from benchmarks.gpu.scale import BOARD

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
        """5 % more in the end than when the warm-up began, 6 s before the first window, with this time constant."""
        return 300.0 * (time_s + 0.05 * warms_s * math.exp(-(time_s - 94.0) / warms_s))

    assert abs(window_lengths.line_of(windows_of(drawn_j, 0.0))["intercept_s"]) < 0.003
    assert window_lengths.line_of(windows_of(drawn_j, 0.03))["intercept_s"] == pytest.approx(0.03, abs=0.003)


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
    assert first["cache_left_bytes"] == 1_000_000 and first["u95_share"] == [0.05]


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
    folder = tmp_path / "batches" / "a" / "1"
    folder.mkdir(parents=True)
    lines = [json.dumps(each) for each in six()]
    whole = "\n".join([lines[0], lines[1][:50], "[]", *lines[2:], ""]).encode() + b"\xff{"
    (folder / "measurements.jsonl").write_bytes(whole)
    (tmp_path / "loads" / "b").mkdir(parents=True)
    (tmp_path / "loads" / "b" / "load.json").write_text("{", encoding="utf-8")
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

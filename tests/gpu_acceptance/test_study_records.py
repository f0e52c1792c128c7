"""What the acceptance reads from the records, jobs and tests of its study."""

from __future__ import annotations

import json
import math
import sys
import time
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from benchmarks.gpu import evidence_tests, records, study_run
from benchmarks.gpu.probes import environment
from benchmarks.gpu.scale import BOARD


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
    figures = records.study_figures(six(), [{"status": "ok", "memory": {"resident_bytes": 2_000_000}, "energy": []}])
    assert (figures["records"], figures["ok_and_valid"]) == (6, 6)
    assert figures["static_over_dynamic"] == pytest.approx(0.8)
    assert figures["joules_cv"] == pytest.approx(0.0014, abs=1e-4)
    assert figures["speed_cv"] == 0
    assert len(figures["experiments"]) == 3
    first = figures["experiments"]["attn_implementation=sdpa batch_size=1"][0]
    assert first["cache_left_bytes"] == 1_000_000 and first["expanded95_share"] == [0.05]


def test_a_doubtful_or_failed_record_is_not_counted_as_valid() -> None:
    lines = six()
    lines[0] |= {"validity": {"verdict": "suspect", "reasons": [{"code": "throttled"}]}}
    lines[1] |= {"status": "failed", "failure": {"error_class": "OutOfMemory"}, "validity": None, "metrics": None}
    lines[2] |= {"metrics": {records.JOULES: None}}
    figures = records.study_figures(lines, [])
    assert figures["ok_and_valid"] == 4
    assert figures["codes"] == {"throttled": 1, "failed: OutOfMemory": 1}
    assert figures["static_over_dynamic"] == pytest.approx(0.8, rel=0.01)


def test_a_line_that_cannot_be_read_costs_the_others_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "sessions" / "a" / "1"
    folder.mkdir(parents=True)
    lines = [json.dumps(entry) for entry in six()]
    whole = "\n".join([lines[0], lines[1][:50], "[]", *lines[2:], ""]).encode() + b"\xff{"
    (folder / "measurements.jsonl").write_bytes(whole)
    (tmp_path / "setups" / "b").mkdir(parents=True)
    (tmp_path / "setups" / "b" / "load.json").write_text("{", encoding="utf-8")
    (readable, unreadable), (loads, lost) = records.read_records(tmp_path), records.read_loads(tmp_path)
    assert (len(readable), unreadable, loads, lost) == (5, 3, [], 1)
    figures = records.study_figures(readable, loads, unreadable + lost)
    assert (figures["records"], figures["ok_and_valid"], figures["unreadable"]) == (5, 5, 4)


def test_a_stopped_replicates_finished_records_are_read_from_its_journal(tmp_path: Path) -> None:
    (stopped := tmp_path / "sessions" / "a" / "1" / ".journal").mkdir(parents=True)
    (finished := tmp_path / "sessions" / "b" / "1" / ".journal").mkdir(parents=True)
    lines = [json.dumps({"record": entry}) for entry in six()]
    (stopped / "x.jsonl").write_text("\n".join([*lines[:2], '{"requests": []}', lines[2][:50]]), encoding="utf-8")
    (finished / "x.jsonl").write_text("\n".join(lines), encoding="utf-8")
    (finished.parent / "measurements.jsonl").write_text(json.dumps(six()[0]), encoding="utf-8")
    readable, unreadable = records.read_records(tmp_path)
    assert (len(readable), unreadable) == (3, 2)
    assert all(records.is_ok_and_valid(entry) for entry in readable)


def test_a_record_that_failed_before_its_settings_were_known_is_shown() -> None:
    failed = {"replicate": 1, "status": "failed", "failure": {"error_class": "X"}, "config": {"model": "m"}}
    figures = records.study_figures([*six(), failed], [])
    assert (figures["records"], figures["ok_and_valid"], figures["codes"]) == (7, 6, {"failed: X": 1})


def test_replicates_vary_by_the_worst_experiment_and_pooled() -> None:
    joules = {1: (1.0, 1.02), 4: (1.0, 1.0)}
    lines = [
        record(turn, values[turn - 1], cache=None, rows=rows) for rows, values in joules.items() for turn in (1, 2)
    ]
    figures = records.study_figures(lines, [])
    assert figures["joules_cv"] == pytest.approx(0.0140, abs=1e-4)
    assert figures["joules_cv_pooled"] == pytest.approx(figures["joules_cv"] / math.sqrt(2))


def test_energy_that_is_not_of_the_counter_is_counted() -> None:
    lines = six()
    assert records.study_figures(lines, [])["by_counter"] == 6
    lines[0] |= {"energy_source": "measured:nvml-power"}
    assert records.study_figures(lines, [])["by_counter"] == 5


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
    outcomes = evidence_tests.outcomes(report.read_text(encoding="utf-8"))
    assert outcomes == {"passed": 1, "not_passed": {"one": "stopped: the time was over"}}
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
    figures = records.study_figures([], [])
    assert (figures["ok_and_valid"], figures["joules_cv"], figures["static_over_dynamic"]) == (0, None, None)


def test_the_tests_of_evidence_are_read_from_their_report() -> None:
    report = """<testsuites><testsuite><testcase name="a"/><testcase name="b"><failure message="no\n graph"/></testcase>
    <testcase name="c"><skipped message="no bitsandbytes"/></testcase></testsuite></testsuites>"""
    assert evidence_tests.outcomes(report) == {
        "passed": 1,
        "not_passed": {"b": "failure: no graph", "c": "skipped: no bitsandbytes"},
    }

"""When a run gives up: its time is over, or too many experiments in a row have failed."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest

from llenergymeasure.pipeline.run_limits import OUTCOMES, RUN, RunLimits, StudyStopped, begin_run
from llenergymeasure.records.study.plan import Protocol
from llenergymeasure.records.validity import Failure

FAILURE = Failure.of("load", "ImportError", "no kernel", Path("results/s/logs/x.log"))


def test_time_counts_from_the_beginning_of_the_call(tmp_path: Path) -> None:
    begin_run(tmp_path)
    limits = RunLimits(tmp_path, timeout_s=100.0, most_failures=None)
    limits.check_time()
    started = json.loads((tmp_path / RUN).read_text(encoding="utf-8"))["started_unix_s"]
    (tmp_path / RUN).write_text(json.dumps({"started_unix_s": started - 101}), encoding="utf-8")
    with pytest.raises(StudyStopped, match=r"study_timeout_s: 100 s have passed.*next call continues") as stopped:
        limits.check_time()
    assert "\n" not in str(stopped.value)
    begin_run(tmp_path)
    limits.check_time()


def test_failures_count_in_a_row_whichever_job_met_them(tmp_path: Path) -> None:
    begin_run(tmp_path)
    one, other = (RunLimits(tmp_path, timeout_s=None, most_failures=3) for _ in range(2))
    one.note("a", FAILURE)
    other.note("b", FAILURE)
    one.note("c", None)
    other.note("d", FAILURE)
    one.note("e", FAILURE)
    other.check_failures()
    with pytest.raises(StudyStopped, match=r"max_consecutive_failures: 3 in a row.*load: ImportError: no kernel"):
        other.note("f", FAILURE)
    # A job that begins now does not try either, until the next call.
    with pytest.raises(StudyStopped):
        one.check_failures()
    begin_run(tmp_path)
    one.check_failures()


def test_without_the_settings_nothing_is_counted(tmp_path: Path) -> None:
    limits = RunLimits.of(tmp_path, Protocol())
    for name in "abc":
        limits.note(name, FAILURE)
    limits.check_time()
    limits.check_failures()
    assert not (tmp_path / OUTCOMES).exists()


def test_jobs_side_by_side_do_not_cut_each_others_lines(tmp_path: Path) -> None:
    begin_run(tmp_path)
    limits = RunLimits(tmp_path, timeout_s=None, most_failures=10_000)
    threads = [threading.Thread(target=lambda: [limits.note("x" * 500, FAILURE) for _ in range(50)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lines = (tmp_path / OUTCOMES).read_text(encoding="utf-8").splitlines()
    assert len(lines) == 200 and all(json.loads(line)["failure"] == FAILURE.to_plain() for line in lines)


def test_a_line_that_another_job_is_writing_is_not_read(tmp_path: Path) -> None:
    begin_run(tmp_path)
    limits = RunLimits(tmp_path, timeout_s=None, most_failures=2)
    limits.note("one", FAILURE)
    with (tmp_path / OUTCOMES).open("a", encoding="utf-8") as other:
        other.write('{"what": "half of')
    limits.check_failures()


@pytest.mark.parametrize("name", [RUN, OUTCOMES])
def test_a_broken_file_is_written_again_by_the_next_call(tmp_path: Path, name: str) -> None:
    begin_run(tmp_path)
    (tmp_path / name).write_text("{\n", encoding="utf-8")
    limits = RunLimits(tmp_path, timeout_s=1.0 if name == RUN else None, most_failures=1)
    with pytest.raises(StudyStopped, match=rf"{name} is not whole .*; call again$"):
        limits.check_time()
        limits.check_failures()
    begin_run(tmp_path)
    limits.check_time()
    limits.check_failures()

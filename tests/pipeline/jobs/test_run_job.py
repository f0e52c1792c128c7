"""How a job ends: what it says is in the terminal and in the rule's log."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from llenergymeasure.pipeline.jobs import run_job
from llenergymeasure.pipeline.placement import NoDevice


@pytest.fixture
def job(tmp_path: Path) -> SimpleNamespace:
    log = tmp_path / "load.log"
    log.write_text("of the worker\n", encoding="utf-8")
    return SimpleNamespace(log=[str(log)])


def test_a_mistake_is_one_line_in_both(job: SimpleNamespace, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit), run_job(job, "load"):
        raise NoDevice("two workers, one device")
    assert capsys.readouterr().err == "load\ntwo workers, one device\n"
    assert Path(job.log[0]).read_text(encoding="utf-8") == "of the worker\ntwo workers, one device\n"


def test_a_bug_of_ours_leaves_its_traceback_there(job: SimpleNamespace) -> None:
    with pytest.raises(ZeroDivisionError), run_job(job, "load"):
        1 / 0  # noqa: B018
    log = Path(job.log[0]).read_text(encoding="utf-8")
    assert log.startswith("of the worker\nTraceback")
    assert log.endswith("ZeroDivisionError: division by zero\n")


def test_a_job_that_succeeds_adds_nothing(job: SimpleNamespace) -> None:
    with run_job(job, "load"):
        pass
    assert Path(job.log[0]).read_text(encoding="utf-8") == "of the worker\n"

"""A job that failed elsewhere, or that nobody would take: why, in a few lines, whatever Snakemake is quiet about."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from snakemake_interface_logger_plugins.common import LogEvent

from llenergymeasure.pipeline.run.failed_jobs import LINES, FailedJobs

ADVICE = "For further error details see the cluster/cloud log and the log files of the involved rule(s)."
FAILED = f"SLURM-job '16' failed, SLURM status is: 'FAILED'. {ADVICE}"
REFUSED = f"""\
SLURM sbatch failed. The error message was 'sbatch: error: Memory specification can not be satisfied
sbatch: error: Session job submission failed: Requested node configuration is not available'.
    sbatch call:
        sbatch --parsable -p gpu --mem 32000 --gpus=1 --wrap="python -m snakemake base64//dmFsaWRhdGU="
{ADVICE}"""


class Shown(logging.Handler):
    """What a terminal shows under `quiet: rules`."""

    def __init__(self) -> None:
        super().__init__()
        self.text = ""

    def emit(self, record: logging.LogRecord) -> None:
        if getattr(record, "event", None) is None:
            self.text += record.getMessage() + "\n"


@pytest.fixture
def logger() -> Iterator[logging.Logger]:
    made = logging.getLogger("of-a-test")
    made.propagate = False
    yield made
    made.handlers.clear()


@pytest.fixture
def shown(logger: logging.Logger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shown:
    monkeypatch.chdir(tmp_path)
    terminal = Shown()
    logger.addHandler(terminal)
    logger.addHandler(FailedJobs(logger, tmp_path))
    return terminal


def fails(logger: logging.Logger, message: str | None, *logs: Path) -> None:
    paths = [str(path) for path in logs]
    event: dict[str, Any] = {"event": LogEvent.JOB_ERROR, "rule_name": "validate", "jobid": 1, "indent": False}
    logger.error("Error in rule validate, jobid: 1", extra={**event, "rule_msg": message, "log": paths})


def test_the_rules_log_is_shown_for_a_job_elsewhere(logger: logging.Logger, shown: Shown, tmp_path: Path) -> None:
    own, slurms = tmp_path / "validate.log", tmp_path / "16.log"
    own.write_text("dataset.path: nope.jsonl \x1b[2Jdoes not exist\n", encoding="utf-8")
    slurms.write_text("Building DAG of jobs...\n", encoding="utf-8")
    fails(logger, FAILED, own, slurms)
    assert shown.text.splitlines() == [
        "validate (job 1) failed: SLURM-job '16' failed, SLURM status is: 'FAILED'.",
        "    dataset.path: nope.jsonl  [2Jdoes not exist",
        "  logs: validate.log, 16.log",
    ]


def test_where_the_script_did_not_begin_the_executors_log_is(
    logger: logging.Logger, shown: Shown, tmp_path: Path
) -> None:
    own, slurms = tmp_path / "validate.log", tmp_path / "16.log"
    # Of an earlier run, and so not why this one failed.
    own.write_text("dataset.path: nope.jsonl does not exist\n", encoding="utf-8")
    os.utime(own, (1, 1))
    slurms.write_text("chatter\n" * 1000 + "srun: error: no such python\n", encoding="utf-8")
    fails(logger, FAILED, own, slurms)
    assert "srun: error: no such python" in shown.text
    assert shown.text.count("chatter") == LINES - 1
    assert "nope.jsonl" not in shown.text


def test_the_state_is_enough_for_a_job_that_was_stopped(logger: logging.Logger, shown: Shown, tmp_path: Path) -> None:
    slurms = tmp_path / "16.log"
    slurms.write_text("Building DAG of jobs...\nElapsed time: 0:00:20\n", encoding="utf-8")
    fails(logger, FAILED.replace("FAILED", "TIMEOUT"), tmp_path / "missing.log", slurms)
    assert shown.text.splitlines() == [
        "validate (job 1) failed: SLURM-job '16' failed, SLURM status is: 'TIMEOUT'.",
        "  logs: 16.log",
    ]


def test_a_second_attempt_does_not_repeat_the_message_of_the_first(
    logger: logging.Logger, shown: Shown, tmp_path: Path
) -> None:
    own = tmp_path / "validate.log"
    own.write_text("out of memory\n", encoding="utf-8")
    fails(logger, FAILED, own)
    fails(logger, FAILED, own, tmp_path / "missing.log")
    assert shown.text.count("SLURM-job '16' failed") == 2
    assert shown.text.count("out of memory") == 1


def test_a_refused_submission_says_what_was_asked_for(logger: logging.Logger, shown: Shown, tmp_path: Path) -> None:
    fails(logger, REFUSED, tmp_path / "validate.log")
    assert "Requested node configuration is not available" in shown.text
    assert "--mem 32000 --gpus=1\n" in shown.text
    assert "docs/cluster.md" in shown.text
    assert not any(word in shown.text for word in ("base64", "further error details", "logs:"))


def test_a_group_of_jobs_is_reported_as_one(logger: logging.Logger, shown: Shown, tmp_path: Path) -> None:
    log = tmp_path / "costs.log"
    log.write_text("no such country\n", encoding="utf-8")
    jobs = [{"rule_name": "costs", "log": [str(log)]}, {"rule_name": "report", "log": []}]
    logger.error("Error in group g1", extra={"event": LogEvent.GROUP_ERROR, "job_error_info": jobs, "aux_logs": []})
    for job in jobs:
        of_it = {"event": LogEvent.JOB_ERROR, "rule_name": job["rule_name"], "jobid": 1, "indent": True}
        logger.error("Error in rule", extra={**of_it, "rule_msg": None, "log": job["log"]})
    assert shown.text.splitlines() == [
        "group of costs, report failed: Error in group g1",
        "    no such country",
        "  logs: costs.log",
    ]


def test_the_message_of_a_local_job_is_not_repeated(logger: logging.Logger, shown: Shown, tmp_path: Path) -> None:
    (tmp_path / "validate.log").write_text("dataset.path: nope.jsonl does not exist\n", encoding="utf-8")
    fails(logger, None, tmp_path / "validate.log")
    assert shown.text == "validate (job 1) failed; its message is above and in validate.log\n"

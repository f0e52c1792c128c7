"""Why a job failed, in the terminal and in Snakemake's log.

`quiet: rules` hides what Snakemake prints about a failed job, together with what it prints about every job that begins.
On a cluster nothing else is here: what the job printed is on the node. This module prints a short form of it.
"""

from __future__ import annotations

import logging
import os
import re
import tempfile
from pathlib import Path
from typing import Any

from snakemake_interface_logger_plugins.common import LogEvent

from llenergymeasure.config.problems.text import legible

LINES = 20
TAIL_BYTES = 2**16
# What executors append to every message.
ADVICE = "For further error details see the cluster/cloud"
# The state that SLURM gives a job which did not end by itself. No log says more.
STOPPED = re.compile("'(CANCELLED|TIMEOUT|OUT_OF_MEMORY|NODE_FAIL|DEADLINE|BOOT_FAIL)")
# In a call of `sbatch`, after the options: the command itself, encoded.
WRAPPED = " --wrap="


class FailedJobs(logging.Handler):
    """Turns Snakemake's events on failed jobs into messages that no `quiet` hides.

    folder: Snakemake's working directory. Logs that are older than this object are not this run's.
    """

    def __init__(self, logger: logging.Logger, folder: Path) -> None:
        super().__init__()
        self._logger = logger
        self._started = _now(folder)
        self._shown: set[tuple[str, float]] = set()

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._report(record)
        except Exception:  # noqa: BLE001 - as all handlers do: a message that fails must not end the run
            self.handleError(record)

    def _report(self, record: Any) -> None:
        event = getattr(record, "event", None)
        if event == LogEvent.JOB_ERROR and not record.indent:
            job = f"{record.rule_name} (job {record.jobid})"
            self._logger.error(self._describe(job, record.rule_msg, record.log))
        elif event == LogEvent.GROUP_ERROR:
            # Its jobs follow, indented, with nothing new; Snakemake does not pass on why the whole group failed.
            names = ", ".join(job["rule_name"] for job in record.job_error_info)
            logs = [path for job in record.job_error_info for path in job["log"]]
            self._logger.error(self._describe(f"group of {names}", record.msg, [*logs, *record.aux_logs]))

    def _describe(self, job: str, message: str | None, logs: list[str]) -> str:
        written = {path: lines for path in logs if (lines := self._new_lines(path))}
        if not message:
            # It ran here, so its message is in the terminal already.
            also = "".join(f" and in {_relative(path)}" for path in written)
            return f"{job} failed; its message is above{also}"
        report = [f"{job} failed: {_reason(message)}"]
        # The rule's own log comes first. The executor's log repeats its lines among a hundred of Snakemake's.
        lines = [] if STOPPED.search(message) else next(iter(written.values()), [])
        report += [f"    {line}" for line in lines[-LINES:]]
        if written:
            report.append(f"  logs: {', '.join(map(_relative, written))}")
        if WRAPPED in message:
            report.append("  The profile sets what a job asks for; docs/cluster.md explains its lines.")
        return "\n".join(report)

    def _new_lines(self, path: str) -> list[str]:
        """The last lines of a log of this run that were not shown yet. Empty where there is no such file."""
        try:
            with Path(path).open("rb") as log:
                state = os.fstat(log.fileno())
                if state.st_mtime < self._started or (path, state.st_mtime) in self._shown:
                    return []
                log.seek(max(0, state.st_size - TAIL_BYTES))
                text = log.read().decode("utf-8", errors="replace")
        except OSError:
            return []
        self._shown.add((path, state.st_mtime))
        return [line for line in (legible(raw).rstrip() for raw in text.splitlines()) if line]


def _now(folder: Path) -> float:
    """The time by the clock that stamps files there. On a shared file system that is not this machine's clock."""
    with tempfile.TemporaryFile(dir=folder) as probe:
        return os.fstat(probe.fileno()).st_mtime


def _reason(message: str) -> str:
    """An executor's message without its advice, and with its `sbatch` call only up to the command itself."""
    lines = message.partition(ADVICE)[0].strip().splitlines()
    return "\n".join(legible(line.partition(WRAPPED)[0]).rstrip() for line in lines)


def _relative(path: str) -> str:
    inside = Path(path)
    return str(inside.relative_to(Path.cwd()) if inside.is_relative_to(Path.cwd()) else inside)

"""When a run gives up: its time is over, or too many experiments in a row have failed.

Jobs share this through files beside the plan's pieces, so that it works on a cluster too. Each run of Snakemake begins
without them.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from llenergymeasure.records.storage.atomic import write_json
from llenergymeasure.records.storage.parsing import BrokenRecord, parse, read_record
from llenergymeasure.records.study.plan import Protocol
from llenergymeasure.records.study.run import Outcome, RunBegin
from llenergymeasure.records.validity import Failure

RUN = "run.json"
OUTCOMES = "outcomes.jsonl"


class StudyStopped(Exception):
    """The run ends here; the message says why and how to go on."""


def begin_run(folder: Path) -> None:
    """A new run of Snakemake: its clock starts, and no failure is counted yet."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / OUTCOMES).unlink(missing_ok=True)
    write_json(RunBegin(started_unix_s=time.time()).to_plain(), folder / RUN)


@dataclass(frozen=True)
class RunLimits:
    """study_timeout_s and max_consecutive_failures of the study's protocol; None: never."""

    folder: Path
    timeout_s: float | None
    most_failures: int | None

    @classmethod
    def of(cls, folder: Path, protocol: Protocol) -> RunLimits:
        return cls(folder, protocol.study_timeout_s, protocol.max_consecutive_failures)

    def check_time(self) -> None:
        """Raises StudyStopped when the run's time is over."""
        if self.timeout_s is None:
            return
        with _broken_files():
            started = read_record(RunBegin, self.folder / RUN).started_unix_s
        if time.time() - started >= self.timeout_s:
            raise StudyStopped(
                f"measurement.study_timeout_s: {self.timeout_s:g} s have passed; what was measured is kept, and the "
                "next call continues from here"
            )

    def note(self, what: str, failure: Failure | None) -> None:
        """Count an experiment or a setup that was tried. Raises StudyStopped after too many failures in a row."""
        if self.most_failures is None:
            return
        line = json.dumps(Outcome(what=what, failure=failure).to_plain()) + "\n"
        path = self.folder / OUTCOMES
        # One write per line: jobs that run side by side do not cut each other's lines.
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            os.write(descriptor, line.encode("utf-8"))
        finally:
            os.close(descriptor)
        if failure is not None:
            self.check_failures()

    def check_failures(self) -> None:
        """Raises StudyStopped when too many of the last experiments failed, whichever job tried them."""
        path = self.folder / OUTCOMES
        if self.most_failures is None or not path.exists():
            return
        # What follows the last line end is a line that another job is writing.
        whole, _, _ = path.read_bytes().rpartition(b"\n")
        last = whole.splitlines()[-self.most_failures :]
        with _broken_files():
            outcomes = [parse(Outcome, line, path) for line in last]
        failures = [outcome.failure for outcome in outcomes if outcome.failure is not None]
        if len(failures) == self.most_failures:
            latest = failures[-1]
            reason = f"{latest.stage}: {latest.error_class}: {latest.reason}"
            raise StudyStopped(
                f"measurement.max_consecutive_failures: {self.most_failures} in a row failed, the last in {reason} "
                f"(log: {latest.log}); remove the cause and call again. What is recorded as failed stays "
                "failed until you delete its session's folder"
            )


@contextmanager
def _broken_files() -> Iterator[None]:
    """Every call writes these files again."""
    try:
        yield
    except BrokenRecord as error:
        raise StudyStopped(error.advise("call again")) from error

"""plan/run.json and plan/outcomes.jsonl: when the current run began, and what was tried since, for the run's limits."""

from __future__ import annotations

from llenergymeasure.records.record import Record
from llenergymeasure.records.validity import Failure


class RunBegin(Record):
    """Wall-clock time: on a cluster the jobs' machines share no other."""

    started_unix_s: float


class Outcome(Record):
    """An experiment or a setup (`what`) that was tried. failure: None where it worked."""

    what: str
    failure: Failure | None

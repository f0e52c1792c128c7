"""The prompts stage: check everything that goes into a model before a job holds a device. Imports no torch."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from llenergymeasure.config import StudyError
from llenergymeasure.config.problems.catalogue import PADDING_REPLACED, PROMPTS_UNFIT, Check
from llenergymeasure.config.problems.problem import Problem
from llenergymeasure.measurement.prompts.errors import PromptError
from llenergymeasure.measurement.worker.client import WorkerLost, WorkerProcess
from llenergymeasure.models.embedded.embedding import embedding_rows
from llenergymeasure.models.snapshot import Snapshot, read_snapshot
from llenergymeasure.pipeline.context_check import context_doubt
from llenergymeasure.pipeline.pinned_data import fetch_pinned
from llenergymeasure.pipeline.plan.inputs import require_content
from llenergymeasure.pipeline.plan.prompt_sets import prompt_set, prompt_sets
from llenergymeasure.records.finding import warning
from llenergymeasure.records.schema import SCHEMA_VERSION
from llenergymeasure.records.study.checks import CheckedSet, ModelPositions, ProblemRecord, PromptCheck
from llenergymeasure.records.study.plan import Plan, PlannedExperiment
from llenergymeasure.records.validity import Failure

WORKER = "llenergymeasure.measurement.prompts.worker"
# To import the libraries and read a tokenizer; and to render and encode one prompt.
OPEN_S = 600.0
PROMPT_S = 20.0


def check_prompts(plan: Plan, folder: Path, *, log: Path, prompt_s: float = PROMPT_S) -> PromptCheck:
    """Render and encode every prompt that the plan has for the model of the snapshot in `folder`; a record of it.

    Raises:
        StudyError: prompts cannot be measured; one line per set. With `invalid: skip` the record says so instead.
        SnapshotError: the snapshot has other contents than the plan was drawn for.
    """
    entries: dict[str, PlannedExperiment] = {}
    counts: Counter[str] = Counter()
    for key, set_id, entry in prompt_sets(plan):
        if key == folder.name:
            counts[set_id] += 1
            entries.setdefault(set_id, entry)
    snapshot = read_snapshot(folder)
    if snapshot.refused is not None:
        return _unread(snapshot, counts)
    (first, *_) = entries.values()
    require_content(snapshot, first.inputs.get("model"))
    sets: dict[str, CheckedSet] = {}
    problems: list[Problem] = []
    with _Reading(snapshot, first, log, prompt_s) as reading:
        for set_id, entry in entries.items():
            checked = reading.check(prompt_set(entry)[1], counts[set_id])
            sets[set_id] = checked
            if checked.failure is not None:
                problems.append(_problem(PROMPTS_UNFIT, snapshot, checked.failure.reason))
    if reading.warning is not None:
        problems.append(_problem(PADDING_REPLACED, snapshot, reading.warning))
    problems += _context_problems(plan, snapshot, sets, reading.positions)
    errors = [problem for problem in problems if problem.severity == "error"]
    if errors and plan.protocol.invalid == "stop":
        raise StudyError(errors)
    for problem in problems:
        print(f"{problem.severity}: {problem.render()}", file=sys.stderr)
    return PromptCheck(
        schema_version=SCHEMA_VERSION,
        model=snapshot.model,
        content_digest=snapshot.content_digest,
        embedding_rows=reading.rows,
        positions=reading.positions,
        sets=sets,
        problems=tuple(ProblemRecord(**problem.to_dict()) for problem in problems),
    )


def _unread(snapshot: Snapshot, counts: Mapping[str, int]) -> PromptCheck:
    """The record of a model that could not be had: loading it fails with the reason."""
    return PromptCheck(
        schema_version=SCHEMA_VERSION,
        model=snapshot.model,
        content_digest=snapshot.content_digest,
        embedding_rows=None,
        positions=None,
        sets={
            set_id: CheckedSet(digest=None, failure=None, experiments=count, longest=None)
            for set_id, count in counts.items()
        },
        problems=(),
    )


def checked_prompts(record: PromptCheck, entry: PlannedExperiment, log: Path) -> CheckedSet:
    """The prompts of an experiment of the plan; with a failure where its output goes beyond the model's positions."""
    checked = record.sets[prompt_set(entry)[0]]
    doubt = context_doubt(record.positions, checked.longest, entry.config)
    if checked.failure is not None or doubt is None or doubt[0].severity != "error":
        return checked
    failure = Failure.of("prompts", "PositionsMissing", f"{doubt[1]}; {doubt[0].fix}", log)
    return checked.model_copy(update={"failure": failure})


def context_warnings(record: PromptCheck, entry: PlannedExperiment) -> list[dict[str, str]]:
    """A warning for the record of an experiment that goes beyond the positions its model was made for."""
    doubt = context_doubt(record.positions, record.sets[prompt_set(entry)[0]].longest, entry.config)
    return [] if doubt is None or doubt[0].severity == "error" else [warning("positions-untrained", doubt[1])]


def _context_problems(
    plan: Plan, snapshot: Snapshot, sets: Mapping[str, CheckedSet], limits: ModelPositions | None
) -> list[Problem]:
    """One problem per text; many experiments may share it."""
    problems: dict[Problem, None] = {}
    for key, set_id, entry in prompt_sets(plan):
        if key == snapshot.path.name:
            doubt = context_doubt(limits, sets[set_id].longest, entry.config)
            if doubt is not None:
                problems[
                    Problem(
                        doubt[0].severity,
                        "max_output_tokens",
                        f"{snapshot.model}: {doubt[1]}",
                        doubt[0].fix,
                        doubt[0].id,
                    )
                ] = None
    return list(problems)


def _problem(check: Check, snapshot: Snapshot, message: str) -> Problem:
    return Problem(check.severity, "prompts", f"{snapshot.model}: {message}", rule=check.id)


def _fetched(name: str, commit: str, path: str) -> dict[str, Any]:
    """The answer to a process that needs a file of a data set."""
    try:
        return {"file": str(fetch_pinned(name, commit, path))}
    except PromptError as error:
        return {"refused": str(error)}


class _Reading:
    """Context manager around at most one process that reads prompts with the snapshot's tokenizer."""

    def __init__(self, snapshot: Snapshot, entry: PlannedExperiment, log: Path, prompt_s: float) -> None:
        self.rows = embedding_rows(snapshot.path)
        self.warning: str | None = None
        self.positions: ModelPositions | None = None
        self._log, self._prompt_s = log, prompt_s
        self._order = {
            "do": "open",
            "snapshot": str(snapshot.path),
            "rows": self.rows,
            "code": snapshot.may_run_code(entry.config["pytorch"].get("trust_remote_code")),
        }
        self._worker: WorkerProcess | None = None
        self._unreadable: str | None = None

    def __enter__(self) -> _Reading:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._worker is not None:
            self._worker.kill()

    def check(self, content: Mapping[str, Any], experiments: int) -> CheckedSet:
        """The set's record. experiments: how many use it"""
        try:
            reply = self._ask(content)
        except PromptError as error:
            return self._refused(str(error), experiments)
        if "refused" in reply:
            return self._refused(reply["refused"], experiments)
        return CheckedSet(
            digest=reply.get("digest"), failure=None, experiments=experiments, longest=reply.get("longest")
        )

    def _ask(self, content: Mapping[str, Any]) -> dict[str, Any]:
        """What the process says about a set. PromptError where it takes too long or dies."""
        place = "the prompts"
        worker = self._open()
        if worker is None:
            return {}
        try:
            reply = worker.request({"do": "read", "set": dict(content)}, timeout_s=OPEN_S)
            while "at" in reply or "fetch" in reply:
                if "fetch" in reply:
                    # The process that reads prompts stays offline. Which files it needs shows as it reads.
                    reply = worker.request(_fetched(*reply["fetch"]), timeout_s=OPEN_S)
                    continue
                place = reply["at"] or "the prompts"
                reply = worker.request({"do": "go on"}, timeout_s=self._prompt_s if reply["at"] else OPEN_S)
            return reply
        except WorkerLost as lost:
            self._worker = None
            why = f"takes longer than {self._prompt_s:g} s" if lost.error_class == "Timeout" else f"fails ({lost})"
            raise PromptError(
                f"{place}: rendering and encoding it {why}; set dataset.chat_template: false, or use another model"
            ) from lost

    def _open(self) -> WorkerProcess | None:
        """None where the library cannot read the tokenizer: loading the model will fail, and its record says so."""
        if self._worker is None and self._unreadable is None:
            worker = WorkerProcess(self._log, WORKER, {"CUDA_VISIBLE_DEVICES": ""})
            try:
                reply = worker.request(self._order, timeout_s=OPEN_S)
            except WorkerLost as lost:
                reply = {"unreadable": str(lost)}
            self._unreadable, self.warning = reply.get("unreadable"), reply.get("padding")
            if reply.get("positions") is not None:
                self.positions = ModelPositions.from_plain(reply["positions"])
            if self._unreadable is None:
                self._worker = worker
            else:
                worker.kill()
                print(f"the tokenizer cannot be read, so no prompt is checked: {self._unreadable}", file=sys.stderr)
        return self._worker

    def _refused(self, reason: str, experiments: int) -> CheckedSet:
        failure = Failure.of("prompts", "PromptError", reason, self._log)
        return CheckedSet(digest=None, failure=failure, experiments=experiments, longest=None)

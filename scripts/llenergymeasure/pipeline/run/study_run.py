"""The study of one call of Snakemake: read, planned, and ready for the rules."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from llenergymeasure.config import Study, study_from_mapping, study_without_experiments
from llenergymeasure.config.problems.problem import first_of_each_kind
from llenergymeasure.config.problems.text import counted
from llenergymeasure.config.settings.model_ref import ModelRef
from llenergymeasure.config.study.study import DEFAULT_LOCK
from llenergymeasure.models.here import why_missing
from llenergymeasure.pipeline.plan.inputs import InputDigests
from llenergymeasure.pipeline.plan.plan import plan_from_study
from llenergymeasure.pipeline.plan.plan_index import INDEX, PlanIndex, index_from_plan, read_index
from llenergymeasure.pipeline.provenance.rerun import Asked, Rerun, asked_for, kept_study, open_rerun
from llenergymeasure.pipeline.provenance.rerun_source import FROM, USAGE, RerunError
from llenergymeasure.pipeline.run.call import RERUN, SnakemakeCall, shorten
from llenergymeasure.pipeline.run.changed_inputs import changed_inputs, with_inputs
from llenergymeasure.pipeline.run.paths import MODELS, StudyPaths
from llenergymeasure.pipeline.run.previous_validation import previous_problems
from llenergymeasure.pipeline.run.priorities import Priorities
from llenergymeasure.pipeline.run.rule_inputs import RuleInputs
from llenergymeasure.pipeline.run.rule_params import RuleParams
from llenergymeasure.pipeline.run.shares import Shares
from llenergymeasure.processes.inherited import tell_jobs
from llenergymeasure.records.schema import refuse_other_schema
from llenergymeasure.records.study.plan import Plan, PlanError, read_plan


@dataclass(frozen=True)
class StudyRun:
    """One call of Snakemake for one study.

    digests: those of the files and folders that the study only names
    models_lock: the file with the models' pins
    plan: the whole plan; None on a cluster's node, which reads only the index
    plan_before: the plan in the study's folder when the call begins; None where there is none, or `replan` runs
    rerun: what `--config from=` names; None where the study comes from a file
    warnings: lines to print before anything runs; the study runs anyway
    """

    call: SnakemakeCall
    study: Study
    index: PlanIndex
    digests: InputDigests
    models_lock: Path
    plan: Plan | None = None
    plan_before: Plan | None = None
    rerun: Rerun | None = None
    warnings: tuple[str, ...] = ()

    @classmethod
    def open(cls, call: SnakemakeCall) -> StudyRun:
        """Read the study and extend its plan. Writes nothing.

        Raises:
            StudyError, RerunError, PlanError: the user has to change something; one line per mistake
        """
        asked = _asked_rerun(call)
        if not call.is_main_process:
            return _open_on_node(call, asked)
        if asked is not None:
            return _open_rerun(call, asked)
        return _open_study(call)

    @cached_property
    def paths(self) -> StudyPaths:
        return StudyPaths(self.study.name)

    @cached_property
    def inputs(self) -> RuleInputs:
        return RuleInputs(self.index, self.paths)

    @cached_property
    def params(self) -> RuleParams:
        return RuleParams(self.index, self.plan, Path(self.paths.pieces), self.models_lock)

    @cached_property
    def priorities(self) -> Priorities:
        return Priorities(self.index)

    @cached_property
    def shares(self) -> Shares:
        return Shares(self.index, self.call.machine)

    @property
    def compared_with(self) -> Path | None:
        """The results that a rerun is compared with. None where this is not a rerun, or they are not finished."""
        return self.rerun.folder if self.rerun is not None and self.rerun.finished else None

    def tell_jobs(self) -> None:
        """Put what jobs need to know of this call into environment variables, which they inherit."""
        tell_jobs(
            environments=self.call.root / "envs",
            workers=self.call.machine.devices,
            # The pins of a rerun are in its new results.
            models_lock=Path(self.paths.models_lock) if self.call.repeats else self.models_lock,
            experiment_timeout_s=self.study.measurement.experiment_timeout_s,
            stop_on_failure=self.study.config.on_failure == "stop",
        )


@contextmanager
def without_garbage_collection() -> Iterator[None]:
    """Switch the garbage collector off: what is made here stays until the process ends.

    The collector need not scan it, neither while it is made nor while Snakemake builds its graph.
    """
    gc.disable()
    try:
        yield
        gc.freeze()
    finally:
        gc.enable()


def _asked_rerun(call: SnakemakeCall) -> Asked | None:
    if call.repeats:
        if call.pins or call.replans:
            raise RerunError(f"--config {FROM}: a rerun uses its own pins and plan; name a study's file instead")
        return asked_for(call.config)
    if call.is_main_process and RERUN in call.targets:
        raise RerunError(f"rerun: which study? {USAGE}")
    return None


def _open_on_node(call: SnakemakeCall, asked: Asked | None) -> StudyRun:
    """On a cluster's node Snakemake reads the Snakefile for one job, which needs only this.

    Reads the study's own settings and the plan's index; does not expand the experiments again.
    """
    study = study_without_experiments(call.config) if asked is None else kept_study(asked)
    paths = StudyPaths(study.name)
    index = read_index(Path(paths.pieces))
    if index is None:
        raise PlanError(f"{paths.pieces} does not contain an index: Snakemake writes it before the first job starts")
    models_lock = DEFAULT_LOCK if asked is None else Path(paths.models_lock)
    return StudyRun(call, study, index, _input_digests(), models_lock)


def _open_rerun(call: SnakemakeCall, asked: Asked) -> StudyRun:
    """A rerun uses the plan and the pins of the study that it repeats."""
    rerun = open_rerun(asked)
    paths = StudyPaths(rerun.study.name)
    digests = _input_digests()
    plan = with_inputs(rerun.plan, digests.of)
    before = read_plan(Path(paths.plan))
    if changed := changed_inputs(before, plan, Path(paths.results)):
        remedy = "a rerun does not mix them: give it another name with --config study=…"
        raise PlanError("\n".join([*changed, remedy]))
    index = index_from_plan(plan)
    warnings = [*([rerun.warning] if rerun.warning else []), *_warnings(rerun.study, index, paths)]
    return StudyRun(call, rerun.study, index, digests, rerun.lock, plan, before, rerun, tuple(warnings))


def _open_study(call: SnakemakeCall) -> StudyRun:
    study = study_from_mapping(
        call.config,
        source=shorten(call.study_files[-1]) if call.study_files else None,
        lock_path=DEFAULT_LOCK,
        require_pins=not call.pins,
        missing=why_no_snapshot,
    )
    paths = StudyPaths(study.name)
    digests = _input_digests()
    before = None if call.replans else read_plan(Path(paths.plan))
    # Before anything is written: `replan` does not read the old plan, and a plan that was deleted leaves its pieces.
    if before is None and (refusal := refuse_other_schema(Path(paths.plan), Path(paths.pieces) / INDEX)):
        raise PlanError(refusal)
    plan = plan_from_study(study, existing=before, inputs=None if call.pins else digests.of)
    index = index_from_plan(plan, pinned=not call.pins)
    warnings: list[str] = []
    if not call.pins:
        warnings = [*changed_inputs(before, plan, Path(paths.results)), *_warnings(study, index, paths)]
    return StudyRun(call, study, index, digests, DEFAULT_LOCK, plan, before, warnings=tuple(warnings))


def _input_digests() -> InputDigests:
    return InputDigests(Path(StudyPaths.digests), Path(MODELS))


def why_no_snapshot(ref: ModelRef, revision: str | None) -> str | None:
    """Why a model is not available here. A snapshot outlives what it was made from."""
    made = Path(StudyPaths.snapshot.format(key=ref.key(revision))).exists()
    return None if made else why_missing(ref, revision)


def _warnings(study: Study, index: PlanIndex, paths: StudyPaths) -> list[str]:
    """Warnings about the study: those of its settings, and those of the libraries when it was validated.

    For a rerun only the latter: the warnings about the repeated study's settings are in its report.
    """
    validation = Path(paths.validation)
    doubts = study.expansion().warnings
    problems = previous_problems(validation, index.digest, index.experiments)
    lines = [*first_of_each_kind(doubts, "plan.json"), *first_of_each_kind(problems, validation.name)]
    if not lines:
        return []
    count = len(doubts) + len(problems)
    return [f"{study.name}: {counted(count, 'warning')}; the study runs anyway", *lines]

"""What the validate job found for the same plan, for calls in which it does not run again. Imports no torch."""

from __future__ import annotations

from pathlib import Path

from llenergymeasure.config.problems.problem import Problem
from llenergymeasure.records.storage.parsing import BrokenRecord, read_record
from llenergymeasure.records.study.checks import CountedProblem, ValidationRecord


def previous_problems(path: Path, plan_digest: str, experiments: int) -> list[Problem]:
    """The problems in a validation.json, each with its number of experiments. Empty where it belongs to another plan.

    experiments: how many the plan has
    """
    if not path.exists():
        return []
    try:
        validation = read_record(ValidationRecord, path)
    except BrokenRecord:
        # Nothing depends on it: the job writes it again where it is needed.
        return []
    if validation.plan_digest != plan_digest:
        return []
    return [_with_count(problem, experiments) for problem in validation.problems]


def _with_count(problem: CountedProblem, experiments: int) -> Problem:
    message = f"{problem.message} ({problem.experiments} of {experiments} experiments)"
    return Problem(problem.severity, problem.path, message, problem.hint, problem.rule, problem.file, problem.line)

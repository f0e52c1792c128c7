"""The validate stage: every experiment asked of the installed libraries, and the plan written."""

from __future__ import annotations

import sys
from pathlib import Path

from llenergymeasure.config import Study, StudyError
from llenergymeasure.config.errors import Problem
from llenergymeasure.engine.check import check_experiment
from llenergymeasure.measurement.plan import plan_of, read_plan, write_plan


def validate_study(study: Study, path: Path, *, fresh: bool = False) -> None:
    """Write the study's plan to `path`; `fresh` forgets the plan that is there.

    Raises:
        StudyError: an experiment can't be run with the installed libraries; one line a problem. With
            `invalid: skip` such an experiment stays in the plan and is recorded as failed.
    """
    plan = plan_of(study, existing=None if fresh else read_plan(path))
    found: dict[str, tuple[Problem, int]] = {}
    for point in study.expansion().experiments:
        for problem in check_experiment(point.config):
            line = problem.render()
            found[line] = (problem, found.get(line, (problem, 0))[1] + 1)
    errors = [problem for problem, _ in found.values() if problem.severity == "error"]
    if errors and study.config.invalid == "stop":
        raise StudyError(errors)
    for line, (problem, count) in found.items():
        print(f"{problem.severity}: {line} ({count} experiments)", file=sys.stderr)
    write_plan(plan, path)
    print(
        f"{study.name}: {len(plan.experiments)} experiments over {len(plan.load_ids)} loads in {len(plan.batches)} "
        f"batches, {plan.replicates} replicates; {len(plan.duplicates)} duplicates merged, {len(plan.skipped)} skipped",
        file=sys.stderr,
    )

"""The validate stage: check every experiment of the plan against the installed libraries and its data set."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from llenergymeasure.config import DatasetConfig, ExperimentConfig, StudyError
from llenergymeasure.config.problems.problem import Problem
from llenergymeasure.config.problems.text import counted
from llenergymeasure.engine.check import check_experiment
from llenergymeasure.measurement.prompts.datasets import check_dataset, fetch_rows
from llenergymeasure.measurement.prompts.errors import PromptError
from llenergymeasure.pipeline.model_check import ModelCheck
from llenergymeasure.pipeline.model_fit import ModelFit
from llenergymeasure.pipeline.pinned_data import fetch_pinned
from llenergymeasure.pipeline.run.paths import MODELS
from llenergymeasure.records.schema import SCHEMA_VERSION
from llenergymeasure.records.study.checks import CountedProblem, ValidationRecord
from llenergymeasure.records.study.plan import Plan


def validate_plan(plan: Plan, snapshots: Path = Path(MODELS)) -> ValidationRecord:
    """The problems of the plan, for validation.json. snapshots: the folder of the models that are here already

    Raises:
        StudyError: an experiment cannot run with the installed libraries; one line per problem. With
            `invalid: skip` such an experiment stays in the plan and is recorded as failed.
    """
    problems: Counter[Problem] = Counter()
    usable = ModelCheck(plan.protocol.on_failure)
    datasets: dict[str, list[Problem]] = {}
    fitting = ModelFit(snapshots)
    for entry in plan.experiments.values():
        config = ExperimentConfig.model_validate(entry.config)
        problems.update(check_experiment(config))
        problems.update(usable.problems(entry.config))
        problems.update(fitting.problems(config, entry.config))
        key = f"{config.dataset.model_dump_json()} {config.n_prompts} {config.random_seed}"
        if key not in datasets:
            datasets[key] = list(_dataset_problems(config.dataset, config.n_prompts, config.random_seed))
        problems.update(datasets[key])
    errors = [problem for problem in problems if problem.severity == "error"]
    if errors and plan.protocol.invalid == "stop":
        raise StudyError(errors)
    for problem, count in problems.items():
        print(
            f"{problem.severity}: {problem.render()} ({count} of {len(plan.experiments)} experiments)", file=sys.stderr
        )
    print(
        f"{plan.study}: {counted(len(plan.experiments), 'experiment')} over {counted(len(plan.setup_ids), 'setup')} in "
        f"{counted(len(plan.sessions), 'session')}, {counted(plan.replicates, 'replicate')}; "
        f"{counted(len(plan.duplicates), 'duplicate')} merged, {len(plan.skipped)} skipped",
        file=sys.stderr,
    )
    return ValidationRecord(
        schema_version=SCHEMA_VERSION,
        plan_digest=plan.digest,
        problems=tuple(CountedProblem(**problem.to_dict(), experiments=count) for problem, count in problems.items()),
    )


def _dataset_problems(dataset: DatasetConfig, n: int, seed: int) -> Iterator[Problem]:
    """What is wrong with the prompts. A hub data set is fetched here: the processes that measure stay offline."""
    try:
        check_dataset(dataset, n)
        fetch_rows(dataset, n, seed, fetch_pinned)
    except PromptError as error:
        yield Problem("error", "dataset", str(error), rule="dataset")

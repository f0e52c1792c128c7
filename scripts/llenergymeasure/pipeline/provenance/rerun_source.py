"""What a rerun reads from a results folder: plan, resolved study and pins, each checked.

The folder may come from anywhere: its content must be what this pipeline would have written itself.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from llenergymeasure.config import (
    ExperimentConfig,
    Point,
    StudyConfig,
    StudyError,
    compute_config_hash,
    compute_setup_hash,
)
from llenergymeasure.config.problems.text import printable, show
from llenergymeasure.config.settings.dataset import local_file
from llenergymeasure.config.settings.sources import sources_from_intent
from llenergymeasure.config.study.pins import Pins
from llenergymeasure.config.study.study_file import read_study_file
from llenergymeasure.pipeline.plan.plan import ID_DIGITS
from llenergymeasure.pipeline.provenance.provenance import FOLDER, RESOLVED
from llenergymeasure.records.storage.layout import Layout
from llenergymeasure.records.storage.parsing import first_error
from llenergymeasure.records.study.plan import Plan, PlanError, read_plan

FROM = "from"
USAGE = "snakemake rerun --cores N --config from=results/<study>"
# Results of drawing the plan, by which nothing is decided any more.
CARRIED = ("duplicates", "skipped", "warnings")
_ID = re.compile(rf"[0-9a-f]{{{ID_DIGITS}}}")


class RerunError(Exception):
    """A study cannot be measured again; one line that says why and what to do."""

    def __init__(self, message: str) -> None:
        super().__init__(printable(message))


def study_config(folder: Path, name: str) -> StudyConfig:
    """The resolved study in a results folder, under that name. RerunError where there is none."""
    path = folder / FOLDER / RESOLVED
    if not path.exists():
        raise RerunError(
            f"{folder} has no {FOLDER}/{RESOLVED}, without which it cannot be measured again; "
            "run its study from its own file: snakemake --configfile …"
        )
    try:
        content = read_study_file(path).content
        if not isinstance(content, dict):
            raise RerunError(f"{path}: does not contain a study")
        return StudyConfig.model_validate({**content, "study": name})
    except StudyError as error:
        raise RerunError(str(error)) from error
    except ValidationError as error:
        raise RerunError(f"{path}: {first_error(error)}") from error


def plan_in(folder: Path) -> Plan:
    """The plan in the folder. RerunError where there is none that this version reads."""
    if not folder.is_dir():
        raise RerunError(f"--config {FROM}: there is no folder {folder}; expected: {USAGE}")
    try:
        plan = read_plan(Layout(folder).plan, advice="this version of the pipeline cannot measure it again")
    except PlanError as error:
        raise RerunError(str(error)) from error
    if plan is None:
        raise RerunError(
            f"--config {FROM}: {folder} does not contain plan.json; expected: the results folder of a study"
        )
    if not is_name(plan.study):
        raise RerunError(f"{folder}/plan.json: not a plan: its study is {show(plan.study)}")
    return plan


def points_in(folder: Path, plan: Plan, pins: Pins) -> list[Point]:
    """Every experiment of the plan. RerunError where one has a mistake, or needs a file that is not here."""
    present: set[str] = set()
    for session in plan.sessions:
        if not _ID.fullmatch(session.session_id):
            raise ValueError(f"{show(session.session_id)} is not an id of a session")
    points = []
    for name, entry in plan.experiments.items():
        try:
            config = ExperimentConfig.model_validate(entry.config)
        except ValidationError as error:
            raise RerunError(f"{folder}/plan.json: experiment {show(name)}: {first_error(error)}") from error
        if (compute_config_hash(config)[:ID_DIGITS], compute_setup_hash(config)[:ID_DIGITS]) != (
            name,
            entry.setup_id,
        ):
            raise RerunError(
                f"{folder}/plan.json: experiment {show(name)} has another id here: its settings were changed, or mean "
                "something else in this version of the pipeline"
            )
        session = plan.session(entry.session_id)
        if name not in session.experiments or session.setup_id != entry.setup_id:
            raise ValueError(f"experiment {name} is not in its session")
        _, problems = pins.apply(config)
        if problems:
            raise RerunError(f"{folder}: {problems[0].render()}")
        for source in sources_from_intent(config.model_dump()):
            source.ref.check_revision(source.revision)
        _check_here(folder, config, present)
        points.append(Point(name, entry.setup_id, config, entry.axes))
    return points


def _check_here(folder: Path, config: ExperimentConfig, present: set[str]) -> None:
    """RerunError where a model folder or data file is not here: a results folder does not contain those."""
    for source in sources_from_intent(config.model_dump()):
        if source.ref.kind == "folder" and source.name not in present:
            if not Path(source.ref.path).expanduser().is_dir():
                raise RerunError(
                    f"{folder} measured the model in {source.name}, a folder that is not here; put it there"
                )
            present.add(source.name)
    data = config.dataset.path if config.dataset.source == "file" else None
    if isinstance(data, str) and data not in present:
        if not local_file(data).is_file():
            raise RerunError(f"{folder} took its prompts from the file {data}, which is not here; put it there")
        present.add(data)


def is_name(name: Any) -> bool:
    """Whether a study, and its folder, may have that name."""
    try:
        StudyConfig.model_validate({"study": name})
    except ValidationError:
        return False
    return True

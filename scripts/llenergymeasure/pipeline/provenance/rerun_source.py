"""A results folder as what is to be measured again: plan, resolved study and pins, each checked.

The folder comes from anywhere: what it says must be what this pipeline would have written itself.
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
from llenergymeasure.config.settings.sources import sources_of
from llenergymeasure.config.study.pins import Pins
from llenergymeasure.config.study.study_file import read_study_file
from llenergymeasure.pipeline.plan.plan import ID_DIGITS
from llenergymeasure.pipeline.provenance.provenance import FOLDER, RESOLVED
from llenergymeasure.records.plan import Plan, PlanError, read_plan
from llenergymeasure.records.storage.layout import Layout

FROM = "from"
USAGE = "snakemake rerun --cores N --config from=results/<study>"
# What drawing a plan found out, and nothing is decided by any more.
CARRIED = ("duplicates", "skipped", "warnings")
_ID = re.compile(rf"[0-9a-f]{{{ID_DIGITS}}}")


class RerunError(Exception):
    """A study can't be measured again; one line that says why and what to do."""

    def __init__(self, message: str) -> None:
        super().__init__(printable(message))


def study_config(folder: Path, name: str) -> StudyConfig:
    """The resolved study that a results folder holds, under that name. RerunError where it holds none."""
    path = folder / FOLDER / RESOLVED
    if not path.exists():
        raise RerunError(
            f"{folder} has no {FOLDER}/{RESOLVED}, without which it can't be measured again; "
            "run its study from its own file: snakemake --configfile …"
        )
    try:
        content = read_study_file(path).content
        if not isinstance(content, dict):
            raise RerunError(f"{path}: holds no study")
        return StudyConfig.model_validate({**content, "study": name})
    except StudyError as error:
        raise RerunError(str(error)) from error
    except ValidationError as error:
        raise RerunError(f"{path}: {_first(error)}") from error


def plan_in(folder: Path) -> Plan:
    """The plan as it is written. RerunError where there is none that this version reads."""
    if not folder.is_dir():
        raise RerunError(f"--config {FROM}: there is no folder {folder}; as in {USAGE}")
    try:
        plan = read_plan(Layout(folder).plan, advice="this version of the pipeline can't measure it again")
    except PlanError as error:
        raise RerunError(str(error)) from error
    if plan is None:
        raise RerunError(f"--config {FROM}: {folder} holds no plan.json; wanted: the results folder of a study")
    if not is_name(plan.study):
        raise RerunError(f"{folder}/plan.json: not a plan: its study is {show(plan.study)}")
    return plan


def points_in(folder: Path, plan: Plan, pins: Pins) -> list[Point]:
    """Every experiment of the plan. What is wrong with one, or not to be had here, is a RerunError."""
    here: set[str] = set()
    for session in plan.sessions:
        if not _ID.fullmatch(session.session_id):
            raise ValueError(f"{show(session.session_id)} is no id of a session")
    points = []
    for name, entry in plan.experiments.items():
        try:
            config = ExperimentConfig.model_validate(entry.config)
        except ValidationError as error:
            raise RerunError(f"{folder}/plan.json: experiment {show(name)}: {_first(error)}") from error
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
        for source in sources_of(config.model_dump()):
            source.ref.check_revision(source.revision)
        _check_here(folder, config, here)
        points.append(Point(name, entry.setup_id, config, entry.axes))
    return points


def _check_here(folder: Path, config: ExperimentConfig, here: set[str]) -> None:
    """A results folder does not bring the model folders and data files of its study."""
    for source in sources_of(config.model_dump()):
        if source.ref.kind == "folder" and source.name not in here:
            if not Path(source.ref.path).expanduser().is_dir():
                raise RerunError(
                    f"{folder} measured the model in {source.name}, a folder that is not here; put it there"
                )
            here.add(source.name)
    data = config.dataset.path if config.dataset.source == "file" else None
    if data is not None and data not in here:
        if not Path(data).is_file():
            raise RerunError(f"{folder} took its prompts from the file {data}, which is not here; put it there")
        here.add(data)


def is_name(name: Any) -> bool:
    """Whether a study may be called that, and with it a folder."""
    try:
        StudyConfig.model_validate({"study": name})
    except ValidationError:
        return False
    return True


def _first(error: ValidationError) -> str:
    found = error.errors(include_url=False)[0]
    path = ".".join(str(part) for part in found["loc"])
    return f"{path}: {found['msg']}" if path else str(found["msg"])

"""A study measured again from its results folder: `snakemake rerun --config from=results/<study>`.

Nothing is expanded or drawn anew: experiments, batches, replicates, seed and order are those of the plan that is in
the folder, under another name. The folder comes from anywhere, so all of it is checked before anything is built on it,
and it is only read.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from llenergymeasure.config import (
    Expansion,
    ExperimentConfig,
    Point,
    Study,
    StudyConfig,
    StudyError,
    compute_config_hash,
    compute_load_hash,
)
from llenergymeasure.config.errors import show
from llenergymeasure.config.lock import LockError, read_lock
from llenergymeasure.config.pins import Pins
from llenergymeasure.config.sources import sources_of
from llenergymeasure.config.study_file import read_study_file
from llenergymeasure.config.words import printable
from llenergymeasure.measurement.plan import ID_DIGITS, Plan, PlanError, plan_of, read_plan
from llenergymeasure.measurement.provenance import FOLDER, LOCK, RESOLVED
from llenergymeasure.measurement.rerun_record import RecordError, read_rerun_of

FROM = "from"
NAME = "study"
USAGE = "snakemake rerun --cores N --config from=results/<study>"
_SUFFIX = "-rerun"
_LONGEST = 64
_ID = re.compile(rf"[0-9a-f]{{{ID_DIGITS}}}")
_SAME = (
    "seed",
    "isolation",
    "replicates",
    "axes",
    "batches",
    "order",
    "reference",
    "design",
    "stopping",
    "protocol",
)
# What drawing a plan found out, and nothing is decided by any more.
_CARRIED = ("duplicates", "skipped", "warnings")


class RerunError(Exception):
    """A study can't be measured again; one line that says why and what to do."""

    def __init__(self, message: str) -> None:
        super().__init__(printable(message))


@dataclass(frozen=True)
class Asked:
    """The folder that is repeated, and the name of the new study and of its folder under results/."""

    folder: Path
    name: str


@dataclass(frozen=True)
class Rerun:
    """folder: what is repeated; before: its plan; plan: the same under the new name; lock: the pins it brings."""

    folder: Path
    study: Study
    before: Plan
    plan: Plan
    lock: Path

    @property
    def finished(self) -> bool:
        """Whether there are figures to compare with."""
        return (self.folder / "summary.parquet").exists() and (self.folder / "runs.parquet").exists()


def asked_for(config: Mapping[str, Any]) -> Asked:
    """What Snakemake's `config` says. RerunError where it says anything else too."""
    for key in config:
        if key not in (FROM, NAME):
            raise RerunError(
                f"--config {FROM}: {key} is given too, and a rerun changes nothing of its study but the name "
                f"({NAME}=…); take it out, and --configfile with it"
            )
    given = config[FROM]
    if not isinstance(given, str) or not given.strip():
        raise RerunError(f"--config {FROM}: is {show(given)}; wanted: the results folder of a study, as in {USAGE}")
    folder = Path(given).expanduser()
    name = config.get(NAME)
    if name is None:
        name = f"{folder.absolute().name[: _LONGEST - len(_SUFFIX)]}{_SUFFIX}"
    if not _is_name(name):
        raise RerunError(
            f"--config {NAME}: is {show(name)}, no name for the new results; wanted: {NAME}=<up to 64 letters, digits, "
            "dots, dashes, underscores>"
        )
    return Asked(folder, name)


def open_rerun(asked: Asked) -> Rerun:
    """The study that is in the folder, checked. RerunError where it can't be measured again as it was."""
    folder = asked.folder
    before = _plan_in(folder)
    config = study_config(folder, asked.name)
    lock = folder / FOLDER / LOCK
    try:
        points = _points(folder, before, Pins(read_lock(lock), str(lock)))
        study = Study(config, Expansion(experiments=points, axes=list(before.axes)))
        drawn = plan_of(study, existing=replace(before, study=asked.name))
    except LockError as error:
        raise RerunError(str(error)) from error
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise RerunError(f"{folder}/plan.json: not a whole plan ({type(error).__name__}: {error})") from error
    for field in _SAME:
        if getattr(drawn, field) != getattr(before, field):
            raise RerunError(f"{folder}: plan.json and {FOLDER}/{RESOLVED} do not say the same of its {field}")
    plan = replace(drawn, **{name: getattr(before, name) for name in _CARRIED})
    _check_target(asked, before)
    return Rerun(folder, study, before, plan, lock)


def kept_study(asked: Asked) -> Study:
    """Of a rerun that has begun, without its experiments: what a Snakemake on a cluster's node needs for one job."""
    return Study(study_config(Path("results", asked.name), asked.name), Expansion())


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


def _plan_in(folder: Path) -> Plan:
    if not folder.is_dir():
        raise RerunError(f"--config {FROM}: there is no folder {folder}; as in {USAGE}")
    try:
        plan = read_plan(folder / "plan.json", advice="this version of the pipeline can't measure it again")
    except PlanError as error:
        raise RerunError(str(error)) from error
    if plan is None:
        raise RerunError(f"--config {FROM}: {folder} holds no plan.json; wanted: the results folder of a study")
    if not _is_name(plan.study):
        raise RerunError(f"{folder}/plan.json: not a plan: its study is {show(plan.study)}")
    for name in _CARRIED:
        found = getattr(plan, name)
        if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
            raise RerunError(f"{folder}/plan.json: not a plan: its {name} are {show(found)}")
    return plan


def _points(folder: Path, plan: Plan, pins: Pins) -> list[Point]:
    """Every experiment of the plan. What is wrong with one, or not to be had here, is a RerunError."""
    here: set[str] = set()
    for batch in plan.batches:
        if not _ID.fullmatch(batch.batch_id):
            raise ValueError(f"{show(batch.batch_id)} is no id of a batch")
    points = []
    for name, entry in plan.experiments.items():
        try:
            config = ExperimentConfig.model_validate(entry["config"])
        except ValidationError as error:
            raise RerunError(f"{folder}/plan.json: experiment {show(name)}: {_first(error)}") from error
        if (compute_config_hash(config)[:ID_DIGITS], compute_load_hash(config)[:ID_DIGITS]) != (name, entry["load_id"]):
            raise RerunError(
                f"{folder}/plan.json: experiment {show(name)} has another id here: its settings were changed, or mean "
                "something else in this version of the pipeline"
            )
        batch = plan.batch(entry["batch_id"])
        if name not in batch.experiments or batch.load_id != entry["load_id"]:
            raise ValueError(f"experiment {name} is not in its batch")
        _, problems = pins.apply(config)
        if problems:
            raise RerunError(f"{folder}: {problems[0].render()}")
        for source in sources_of(config.model_dump()):
            source.ref.check_revision(source.revision)
        _check_here(folder, config, here)
        points.append(Point(name, entry["load_id"], config, entry["axes"]))
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


def _check_target(asked: Asked, before: Plan) -> None:
    """The new results are a folder of their own, or those of this very rerun."""
    results = Path("results", asked.name)
    if results.resolve() == asked.folder.resolve():
        raise RerunError(f"{results} is what would be measured again; give the new results a name: {NAME}=…")
    if not (results / "plan.json").exists():
        return
    try:
        of = read_rerun_of(results)
    except RecordError as error:
        raise RerunError(str(error)) from error
    if of is None or of["plan_digest"] != before.digest:
        held = "another study" if of is None else f"a rerun of {of['study']} as it was planned then"
        raise RerunError(f"{results} holds {held}; give the new results another name: {NAME}=…")


def _is_name(name: Any) -> bool:
    try:
        StudyConfig.model_validate({"study": name})
    except ValidationError:
        return False
    return True


def _first(error: ValidationError) -> str:
    found = error.errors(include_url=False)[0]
    path = ".".join(str(part) for part in found["loc"])
    return f"{path}: {found['msg']}" if path else str(found["msg"])

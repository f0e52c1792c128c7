"""A study measured again from its results folder: `snakemake rerun --config from=results/<study>`.

Nothing is expanded or drawn again: experiments, sessions, replicates, seed and order are those of the folder's plan,
under another name. The folder may come from anywhere, so all of it is checked before it is used, and it is only read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from llenergymeasure.config import Expansion, Study
from llenergymeasure.config.problems.text import show
from llenergymeasure.config.study.lock import LockError, read_lock
from llenergymeasure.config.study.pins import Pins
from llenergymeasure.pipeline.plan.plan import plan_from_study
from llenergymeasure.pipeline.provenance.provenance import FOLDER, LOCK, RESOLVED
from llenergymeasure.pipeline.provenance.rerun_record import RecordError, read_rerun_of
from llenergymeasure.pipeline.provenance.rerun_source import (
    CARRIED,
    FROM,
    USAGE,
    RerunError,
    is_name,
    plan_in,
    points_in,
    study_config,
)
from llenergymeasure.records.storage.layout import Layout
from llenergymeasure.records.study.plan import Plan

NAME = "study"
_SUFFIX = "-rerun"
_LONGEST = 64
_SAME = (
    "seed",
    "isolation",
    "replicates",
    "axes",
    "sessions",
    "order",
    "reference",
    "design",
    "stopping",
    "protocol",
)


@dataclass(frozen=True)
class Asked:
    """The folder to repeat, and the name of the new study and of its folder under results/."""

    folder: Path
    name: str


@dataclass(frozen=True)
class Rerun:
    """folder: what to repeat; before: its plan; plan: the same under the new name; lock: the folder's pins."""

    folder: Path
    study: Study
    before: Plan
    plan: Plan
    lock: Path

    @property
    def finished(self) -> bool:
        """Whether there are figures to compare with."""
        layout = Layout(self.folder)
        return layout.summary_parquet.exists() and layout.runs.exists()

    @property
    def warning(self) -> str | None:
        """A line to print before it is measured. None where all tables exist."""
        if self.finished:
            return None
        layout = Layout(self.folder)
        measured = sum(layout.measurements(session, number).exists() for session, number in self.before.order)
        return (
            f"{self.folder} has no tables to compare with ({measured} of {len(self.before.order)} measurements "
            "exist): its plan is measured anyway, and there is no comparison until it is finished"
        )


def asked_for(config: Mapping[str, Any]) -> Asked:
    """The rerun that Snakemake's `config` asks for. RerunError where it sets anything else too."""
    for key in config:
        if key not in (FROM, NAME):
            raise RerunError(
                f"--config {FROM}: {key} is set too, and a rerun changes only the name of its study "
                f"({NAME}=…); remove {key}, and --configfile with it"
            )
    given = config[FROM]
    if not isinstance(given, str) or not given.strip():
        raise RerunError(f"--config {FROM}: is {show(given)}; expected: the results folder of a study, as in {USAGE}")
    folder = Path(given).expanduser()
    name = config.get(NAME)
    if name is None:
        name = f"{folder.absolute().name[: _LONGEST - len(_SUFFIX)]}{_SUFFIX}"
    if not is_name(name):
        raise RerunError(
            f"--config {NAME}: is {show(name)}, which cannot name the new results; expected: {NAME}=<up to 64 letters, "
            "digits, dots, dashes, underscores>"
        )
    return Asked(folder, name)


def open_rerun(asked: Asked) -> Rerun:
    """The study in the folder, checked. RerunError where it cannot be measured again as it was."""
    folder = asked.folder
    before = plan_in(folder)
    config = study_config(folder, asked.name)
    lock = folder / FOLDER / LOCK
    try:
        points = points_in(folder, before, Pins(read_lock(lock), str(lock)))
        study = Study(config, Expansion(experiments=points, axes=list(before.axes)))
        drawn = plan_from_study(study, existing=replace(before, study=asked.name))
    except LockError as error:
        raise RerunError(str(error)) from error
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise RerunError(f"{folder}/plan.json: not a whole plan ({type(error).__name__}: {error})") from error
    for field in _SAME:
        if getattr(drawn, field) != getattr(before, field):
            raise RerunError(f"{folder}: plan.json and {FOLDER}/{RESOLVED} disagree about its {field}")
    plan = replace(drawn, **{name: getattr(before, name) for name in CARRIED})
    _check_target(asked, before)
    return Rerun(folder, study, before, plan, lock)


def kept_study(asked: Asked) -> Study:
    """The study of a rerun that has begun, without its experiments: all that a cluster's node needs for a job."""
    return Study(study_config(Path("results", asked.name), asked.name), Expansion())


def _check_target(asked: Asked, before: Plan) -> None:
    """RerunError unless the new results have a folder of their own, or continue this same rerun."""
    results = Path("results", asked.name)
    if results.resolve() == asked.folder.resolve():
        raise RerunError(f"{results} is what would be measured again; give the new results a name: {NAME}=…")
    if not Layout(results).plan.exists():
        return
    try:
        repeated = read_rerun_of(results)
    except RecordError as error:
        raise RerunError(str(error)) from error
    if repeated is None or repeated.plan_digest != before.digest:
        held = "another study" if repeated is None else f"a rerun of {repeated.study} with another plan"
        raise RerunError(f"{results} contains {held}; give the new results another name: {NAME}=…")

"""A study measured again from its results folder: `snakemake rerun --config from=results/<study>`.

Nothing is expanded or drawn anew: experiments, sessions, replicates, seed and order are those of the plan that is in
the folder, under another name. The folder comes from anywhere, so all of it is checked before anything is built on it,
and it is only read.
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
from llenergymeasure.pipeline.plan.plan import plan_of
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
from llenergymeasure.records.plan import Plan
from llenergymeasure.records.storage.layout import Layout

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
        layout = Layout(self.folder)
        return layout.summary_parquet.exists() and layout.runs.exists()

    @property
    def warning(self) -> str | None:
        """What to know before it is measured; None where all is there."""
        if self.finished:
            return None
        layout = Layout(self.folder)
        there = sum(layout.measurements(session, number).exists() for session, number in self.before.order)
        return (
            f"{self.folder} has no tables to compare with ({there} of {len(self.before.order)} measurements are "
            "there): its plan is measured all the same, and the comparison is left out until it is finished"
        )


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
    if not is_name(name):
        raise RerunError(
            f"--config {NAME}: is {show(name)}, no name for the new results; wanted: {NAME}=<up to 64 letters, digits, "
            "dots, dashes, underscores>"
        )
    return Asked(folder, name)


def open_rerun(asked: Asked) -> Rerun:
    """The study that is in the folder, checked. RerunError where it can't be measured again as it was."""
    folder = asked.folder
    before = plan_in(folder)
    config = study_config(folder, asked.name)
    lock = folder / FOLDER / LOCK
    try:
        points = points_in(folder, before, Pins(read_lock(lock), str(lock)))
        study = Study(config, Expansion(experiments=points, axes=list(before.axes)))
        drawn = plan_of(study, existing=replace(before, study=asked.name))
    except LockError as error:
        raise RerunError(str(error)) from error
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise RerunError(f"{folder}/plan.json: not a whole plan ({type(error).__name__}: {error})") from error
    for field in _SAME:
        if getattr(drawn, field) != getattr(before, field):
            raise RerunError(f"{folder}: plan.json and {FOLDER}/{RESOLVED} do not say the same of its {field}")
    plan = replace(drawn, **{name: getattr(before, name) for name in CARRIED})
    _check_target(asked, before)
    return Rerun(folder, study, before, plan, lock)


def kept_study(asked: Asked) -> Study:
    """Of a rerun that has begun, without its experiments: what a Snakemake on a cluster's node needs for one job."""
    return Study(study_config(Path("results", asked.name), asked.name), Expansion())


def _check_target(asked: Asked, before: Plan) -> None:
    """The new results are a folder of their own, or those of this very rerun."""
    results = Path("results", asked.name)
    if results.resolve() == asked.folder.resolve():
        raise RerunError(f"{results} is what would be measured again; give the new results a name: {NAME}=…")
    if not Layout(results).plan.exists():
        return
    try:
        of = read_rerun_of(results)
    except RecordError as error:
        raise RerunError(str(error)) from error
    if of is None or of.get("plan_digest") != before.digest:
        held = "another study" if of is None else f"a rerun of {of.get('study')} as it was planned then"
        raise RerunError(f"{results} holds {held}; give the new results another name: {NAME}=…")

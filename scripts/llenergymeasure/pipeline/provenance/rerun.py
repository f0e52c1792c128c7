"""A study measured again from its results folder: `snakemake rerun --config from=results/<study>`.

Nothing is expanded again: experiments, sessions and replicates are those of the folder's plan, under another name. Only
the order is drawn again, so that an artefact of the first order does not repeat itself. The folder may come from
anywhere, so all of it is checked before it is used, and it is only read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, get_args

from llenergymeasure.config import Expansion, Study
from llenergymeasure.config.problems.text import show
from llenergymeasure.config.study.lock import LockError, read_lock
from llenergymeasure.config.study.pins import Pins
from llenergymeasure.pipeline.plan.plan import plan_from_study
from llenergymeasure.pipeline.provenance.provenance import FOLDER, LOCK, RESOLVED
from llenergymeasure.pipeline.provenance.rerun_order import reordered
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
from llenergymeasure.records.study.equivalence import Equivalence
from llenergymeasure.records.study.plan import Plan
from llenergymeasure.records.study.provenance import RerunOrder

NAME = "study"
ORDER = "order"
# Shares that may be set, and the least of each.
_SHARES = {"margin": 0.0001, "day_sd": 0.0}
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
    """What `--config` asks for.

    folder: what to repeat; name: of the new study and of its folder under results/; order: of the measurements
    """

    folder: Path
    name: str
    order: RerunOrder = "new"
    within: Equivalence = field(default_factory=Equivalence)


@dataclass(frozen=True)
class Rerun:
    """before: the plan of what is repeated; plan: the same under the new name, in its order; lock: the old pins."""

    asked: Asked
    study: Study
    before: Plan
    plan: Plan
    lock: Path

    @property
    def folder(self) -> Path:
        return self.asked.folder

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
        if key not in (FROM, NAME, ORDER, *_SHARES):
            raise RerunError(
                f"--config {FROM}: {key} is set too, and a rerun changes nothing of its study; remove {key}, and "
                f"--configfile with it (it may set {NAME}, {ORDER}, {', '.join(_SHARES)})"
            )
    given = config[FROM]
    if isinstance(given, list):
        raise RerunError(
            f"--config {FROM}: is {show(given)}; a rerun repeats one folder, as in {USAGE}; `snakemake together` "
            "takes several"
        )
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
    order = config.get(ORDER, "new")
    if order not in get_args(RerunOrder):
        raise RerunError(f"--config {ORDER}: is {show(order)}; expected: {ORDER}=new or {ORDER}=same")
    return Asked(folder, name, order, Equivalence(**{key: _share(config, key) for key in _SHARES if key in config}))


def _share(config: Mapping[str, Any], key: str) -> float:
    value, least = config[key], _SHARES[key]
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value < 1 or value != value:
        at_least = "0 or more" if least == 0 else f"{least:g} or more"
        raise RerunError(
            f"--config {key}: is {show(value)}; expected: a share, {at_least} and below 1, such as {key}=0.01 for 1 %"
        )
    return float(value)


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
        _check_same(folder, drawn, before)
        if asked.order == "new":
            study, drawn = reordered(study, drawn)
    except LockError as error:
        raise RerunError(str(error)) from error
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise RerunError(f"{folder}/plan.json: not a whole plan ({type(error).__name__}: {error})") from error
    plan = replace(drawn, **{name: getattr(before, name) for name in CARRIED})
    _check_target(asked, before)
    return Rerun(asked, study, before, plan, lock)


def _check_same(folder: Path, drawn: Plan, before: Plan) -> None:
    for name in _SAME:
        if getattr(drawn, name) != getattr(before, name):
            raise RerunError(f"{folder}: plan.json and {FOLDER}/{RESOLVED} disagree about its {name}")


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
    if repeated.order != asked.order:
        raise RerunError(
            f"{results} contains a rerun that was begun with {ORDER}={repeated.order}; set that, or give the new "
            f"results another name: {NAME}=…"
        )

"""What `snakemake together --config "from=[results/a, results/b]"` asks for, checked before a job starts.

The folders are only read. They may come from anywhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llenergymeasure.config.problems.text import counted, printable, show
from llenergymeasure.pipeline.provenance.rerun import NAME
from llenergymeasure.pipeline.provenance.rerun_source import FROM, is_name
from llenergymeasure.pipeline.run.call import RERUN, TOGETHER
from llenergymeasure.records.storage.layout import Layout
from llenergymeasure.records.study.plan import Plan, PlanError, read_plan

TOGETHER_USAGE = f'snakemake {TOGETHER} --cores 1 --config "{FROM}=[results/<study>, results/<study>-rerun]"'
# What a measurement is: with other windows it is another one.
_PROTOCOL = ("min_window_s", "energy_resolution")


class TogetherError(Exception):
    """Folders cannot be put together; one line that says why and what to do."""

    def __init__(self, message: str) -> None:
        super().__init__(printable(message))


@dataclass(frozen=True)
class TogetherCall:
    """folders: of one study, at least two; name: of the folder under results/ for what comes of them"""

    folders: tuple[Path, ...]
    name: str

    @property
    def layout(self) -> Layout:
        return Layout(Path("results", self.name))

    @property
    def tables(self) -> list[str]:
        return [str(path) for layout in map(Layout, self.folders) for path in (layout.summary_parquet, layout.runs)]


def is_together(config: Mapping[str, Any], targets: frozenset[str]) -> bool:
    """Whether a call is of this kind. The processes that Snakemake starts for jobs have the config, not the target."""
    return TOGETHER in targets or (isinstance(config.get(FROM), list) and RERUN not in targets)


def open_together(config: Mapping[str, Any]) -> TogetherCall:
    """TogetherError where the folders are not there, not finished, or not of one study."""
    if FROM not in config:
        raise TogetherError(f"{TOGETHER}: which folders? {TOGETHER_USAGE}")
    for key in config:
        if key not in (FROM, NAME):
            raise TogetherError(
                f"--config {FROM}: {key} is set too, and nothing is measured here; remove {key}, and --configfile with "
                "it"
            )
    folders = _folders(config[FROM])
    plans = [_plan(folder) for folder in folders]
    for folder, plan in zip(folders[1:], plans[1:], strict=True):
        _check_same(folders[0], plans[0], folder, plan)
    name = config.get(NAME, plans[0].study)
    if not is_name(name):
        raise TogetherError(
            f"--config {NAME}: is {show(name)}, which cannot name the new results; expected: {NAME}=<up to 64 letters, "
            "digits, dots, dashes, underscores>"
        )
    return TogetherCall(folders, name)


def _folders(given: Any) -> tuple[Path, ...]:
    if (
        not isinstance(given, list)
        or len(given) < 2
        or not all(isinstance(path, str) and path.strip() for path in given)
    ):
        raise TogetherError(f"--config {FROM}: is {show(given)}; expected: two folders or more, as in {TOGETHER_USAGE}")
    folders = tuple(Path(path).expanduser() for path in given)
    places: dict[Path, Path] = {}
    for folder in folders:
        if not folder.is_dir():
            raise TogetherError(
                f"--config {FROM}: there is no folder {folder}; expected: the results folder of a study"
            )
        if (other := places.setdefault(folder.resolve(), folder)) is not folder:
            raise TogetherError(f"--config {FROM}: {folder} is the same folder as {other}; name each once")
    return folders


def _plan(folder: Path) -> Plan:
    layout = Layout(folder)
    try:
        plan = read_plan(layout.plan, advice="this version of the pipeline cannot read its results")
    except PlanError as error:
        raise TogetherError(str(error)) from error
    if plan is None:
        raise TogetherError(
            f"--config {FROM}: {folder} does not contain plan.json; expected: the results folder of a study"
        )
    missing = [path.name for path in (layout.summary_parquet, layout.runs) if not path.exists()]
    if missing:
        raise TogetherError(f"{folder} has no {missing[0]}: its study is not finished; run it to its end first")
    return plan


def _check_same(first: Path, one: Plan, folder: Path, other: Plan) -> None:
    """TogetherError unless both measure the same experiments in the same way."""
    for lacking, having, names in (
        (folder, first, one.experiments.keys() - other.experiments.keys()),
        (first, folder, other.experiments.keys() - one.experiments.keys()),
    ):
        if names:
            held = {**one.experiments, **other.experiments}
            name = min(names)
            raise TogetherError(
                f"{lacking} and {having} are not of one study: {lacking} lacks {counted(len(names), 'experiment')} "
                f"that {having} has, such as {name} ({held[name].label}); name folders of one study"
            )
    for name in _PROTOCOL:
        mine, theirs = getattr(one.protocol, name), getattr(other.protocol, name)
        if mine != theirs:
            raise TogetherError(
                f"{first} was measured with measurement.{name} = {mine:g} and {folder} with {theirs:g}, so their "
                "figures are of different windows; name folders of one study"
            )

"""provenance/rerun_of.json: what a rerun repeats. What differs from it is printed before anything is measured."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from llenergymeasure.config.problems.text import printable
from llenergymeasure.pipeline.provenance.environment import PACKAGES
from llenergymeasure.pipeline.provenance.provenance import ENVIRONMENTS, FOLDER, RERUN_OF, keep_record
from llenergymeasure.records.measurement import MeasurementRecord
from llenergymeasure.records.schema import SCHEMA_VERSION, last_commit
from llenergymeasure.records.storage.layout import Layout
from llenergymeasure.records.storage.parsing import BrokenRecord, OtherSchema, parse, read_record
from llenergymeasure.records.study.plan import Plan
from llenergymeasure.records.study.provenance import InstalledEnvironment, RerunOf, RerunOrder

# This many packages are named; the environments' files hold all.
NAMED = 4


class RecordError(Exception):
    """The record cannot be read; one line."""


def describe(folder: Path, plan: Plan, order: RerunOrder = "new") -> RerunOf:
    """The record of a rerun of `plan`, whose results are in `folder`. RecordError where those cannot be read."""
    first = [_first_record(folder, session.session_id) for session in plan.sessions]
    measured = [record for record in first if record is not None]
    ids = (record.environment.machine_id for record in measured)
    return RerunOf(
        schema_version=SCHEMA_VERSION,
        study=plan.study,
        plan_digest=plan.digest,
        git_commit=last_commit(folder),
        environments=_environments(folder / FOLDER / ENVIRONMENTS),
        machines=tuple(dict.fromkeys(name for record in measured for name in _device_names(record))),
        machine_ids=tuple(dict.fromkeys(name for name in ids if name is not None)),
        order=order,
        seed=plan.seed,
    )


def keep_rerun_of(results: Path, folder: Path, plan: Plan, order: RerunOrder = "new") -> None:
    """Write it when the rerun begins: what it repeats may be gone later. RecordError where that cannot be read."""
    path = results / FOLDER / RERUN_OF
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    keep_record(path, describe(folder, plan, order))


def read_rerun_of(results: Path) -> RerunOf | None:
    """None where the results are not those of a rerun. RecordError where the record cannot be read."""
    path = results / FOLDER / RERUN_OF
    if not path.exists():
        return None
    try:
        return read_record(RerunOf, path)
    except BrokenRecord as error:
        raise RecordError(error.advise("it is not a record of a rerun; move the folder away")) from error


def changes(
    repeated: RerunOf, environment: Mapping[str, Any], packages: Mapping[str, str], boards: Sequence[str]
) -> str:
    """One line on what differs from then. Empty where no difference is known.

    boards: names of the accelerators this machine has
    """
    differences = []
    if repeated.environments and environment["fingerprint"] not in repeated.environments:
        before = next(iter(repeated.environments.values()))
        differences.append(f"with other packages ({_differences(before, packages) or 'other versions of Python'})")
    if repeated.machines and not set(repeated.machines) <= {*boards, environment["cpu"]}:
        here = ", ".join(dict.fromkeys(boards)) or environment["cpu"]
        differences.append(f"on another machine ({here} instead of {', '.join(repeated.machines)})")
    elif repeated.machine_ids and environment["machine_id"] and environment["machine_id"] not in repeated.machine_ids:
        differences.append("on another machine of the same kind")
    commit = environment["git_commit"]
    if repeated.git_commit and commit and commit != repeated.git_commit:
        differences.append(f"with another commit of the pipeline ({commit[:12]} instead of {repeated.git_commit[:12]})")
    if not differences:
        return ""
    return printable(f"unlike {repeated.study}, this rerun measures {', '.join(differences)}")


def _differences(before: Mapping[str, str], now: Mapping[str, str]) -> str:
    names = [name for name in sorted({*before, *now}) if before.get(name) != now.get(name)]
    # Packages that decide figures come first.
    names.sort(key=lambda name: name not in PACKAGES)
    shown = [f"{name} {before.get(name, 'absent')} → {now.get(name, 'absent')}" for name in names[:NAMED]]
    more = [f"{len(names) - NAMED} more"] if len(names) > NAMED else []
    return ", ".join([*shown, *more])


def _environments(folder: Path) -> dict[str, dict[str, str]]:
    packages = {}
    for path in sorted(folder.glob("*.json")):
        with _usable(path):
            packages[path.stem] = read_record(InstalledEnvironment, path).packages
    return packages


def _first_record(folder: Path, session_id: str) -> MeasurementRecord | None:
    """The first line of the session's first replicate; None where it was not measured."""
    path = Layout(folder).measurements(session_id, 1)
    if not path.exists():
        return None
    with path.open("rb") as lines:
        first = next(lines, b"")
    with _usable(path):
        return parse(MeasurementRecord, first, path)


def _device_names(record: MeasurementRecord) -> tuple[str, ...]:
    """Names of the accelerators that held parameters, or of the CPU."""
    cpu = record.environment.cpu
    return (cpu,) if record.devices is None else record.devices.names(cpu)


@contextmanager
def _usable(path: Path) -> Iterator[None]:
    """Say what to do about a file of a folder that is only read: a rerun can do without it."""
    try:
        yield
    except OtherSchema as error:
        raise RecordError(f"{path} is of another schema version; delete this file and call again") from error
    except BrokenRecord as error:
        raise RecordError(f"{error}; delete this file and call again") from error

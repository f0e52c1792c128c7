"""What a results folder holds beside its plan, so that the study can be measured again from it alone.

    provenance/study.yaml           the study's file, as the user wrote it (study-1.yaml, … where there were several)
    provenance/resolved.yaml        the study as it ran: file and command line together, with every default
    provenance/models.lock.yaml     the pins of its models and data sets on a hub, with hashes of their files
    provenance/calls.jsonl          one line per call of Snakemake that ran jobs: when, with which pipeline
    provenance/environments/        every environment it was measured with, and the lock that one was installed from
    provenance/rerun_of.json        in a rerun: what it repeats

The first four are written when a run begins, the environments by the jobs that measure: conda gives those their own.
"""

from __future__ import annotations

import json
import platform
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

import yaml

from llenergymeasure.config import MeasurementConfig, Study, StudyConfig
from llenergymeasure.config.rules.stopping_rules import stopping_problems
from llenergymeasure.config.study.lock import read_lock, write_lock
from llenergymeasure.pipeline.plan.plan_index import PlanIndex
from llenergymeasure.pipeline.provenance.environment import describe_commit, installed_packages, why_no_commit
from llenergymeasure.pipeline.provenance.installed_lock import nearest_lock
from llenergymeasure.processes.inherited import environments_folder
from llenergymeasure.records.record import Record
from llenergymeasure.records.schema import SCHEMA_VERSION
from llenergymeasure.records.storage.atomic import write_bytes
from llenergymeasure.records.study.provenance import Call, InstalledEnvironment

FOLDER = "provenance"
RESOLVED = "resolved.yaml"
LOCK = "models.lock.yaml"
CALLS = "calls.jsonl"
ENVIRONMENTS = "environments"
RERUN_OF = "rerun_of.json"
_RESOLVED_HEAD = "# The study as it ran: its file and the command line together, with every default.\n"


def keep_provenance(
    results: Path, study: Study, index: PlanIndex, *, written: Sequence[Path], lock: Path, root: Path
) -> None:
    """Called when a run begins. `lock` is the models' lock in force, `root` the pipeline's checkout."""
    folder = results / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    _keep_written(folder, [path.read_bytes() for path in written])
    keep(folder / RESOLVED, resolved_text(study.config).encode("utf-8"))
    hub = {(source.name, source.revision) for source in index.sources() if source.ref.kind == "hub"}
    write_lock(read_lock(lock).only(hub, index.datasets), folder / LOCK)
    problem = why_no_commit(root)
    if problem is not None:
        print(f"the results will not name the pipeline's commit: {problem}", file=sys.stderr)
    call = Call(
        started=datetime.now(UTC).isoformat(timespec="seconds"),
        plan_digest=index.digest,
        **describe_commit(root),
        snakemake=metadata.version("snakemake"),
        python=platform.python_version(),
        git_problem=problem,
    )
    with (folder / CALLS).open("a", encoding="utf-8") as calls:
        calls.write(json.dumps(call.to_plain()) + "\n")


def keep_environment(results: Path, fingerprint: str) -> None:
    """Called by every job that measures or validates; the first one with this environment writes it."""
    folder = results / FOLDER / ENVIRONMENTS
    path = folder / f"{fingerprint}.json"
    if path.exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    packages = installed_packages()
    place = environments_folder()
    locked = None if place is None else nearest_lock(packages, place / "locks")
    environment = InstalledEnvironment(
        schema_version=SCHEMA_VERSION,
        fingerprint=fingerprint,
        python=platform.python_version(),
        machine=platform.machine(),
        lock=None if locked is None else locked.record,
        packages=packages,
    )
    if locked is not None:
        keep(folder / f"{locked.path.stem}-{locked.sha256[:12]}.txt", locked.path.read_bytes())
    keep_record(path, environment)


def written_in(results: Path) -> list[Path]:
    """The study's files as they were written, in their order."""
    # A link could lead out of a folder that somebody else made.
    files = [path for path in (results / FOLDER).glob("study*.yaml") if path.is_file() and not path.is_symlink()]
    return sorted(files, key=lambda path: (len(path.name), path.name))


def resolved_text(study: StudyConfig) -> str:
    """YAML that is itself a study and gives the same experiments again."""
    content = study.model_dump()
    # Some settings may be written only together with others. Where those are not set, they are omitted.
    for problem in stopping_problems(MeasurementConfig.model_validate(content["measurement"])):
        del content["measurement"][problem.path.rpartition(".")[2]]
    text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=120)
    return _RESOLVED_HEAD + text


def keep(path: Path, content: bytes) -> None:
    """Write atomically, and only where the file differs. Jobs on several machines may do so at the same time."""
    if path.exists() and path.read_bytes() == content:
        return
    write_bytes(content, path)


def keep_record(path: Path, record: Record) -> None:
    keep(path, (json.dumps(record.to_plain(), indent=1) + "\n").encode("utf-8"))


def _keep_written(folder: Path, contents: Sequence[bytes]) -> None:
    several = len(contents) > 1
    names = [f"study-{number}.yaml" if several else "study.yaml" for number in range(1, len(contents) + 1)]
    for path in written_in(folder.parent):
        if path.name not in names:
            path.unlink()
    for name, content in zip(names, contents, strict=True):
        keep(folder / name, content)

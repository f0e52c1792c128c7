"""provenance/: the calls of Snakemake, the environments that measured, and what a rerun repeats."""

from __future__ import annotations

from typing import Literal

from llenergymeasure.records.record import Record
from llenergymeasure.records.schema import SchemaVersion

RerunOrder = Literal["new", "same"]


class Call(Record):
    """One line of calls.jsonl: a call of Snakemake that had something to do.

    started: UTC, ISO 8601; git_commit, git_dirty: of the pipeline, None where it is not a git checkout
    git_problem: why git named no commit of a checkout
    """

    started: str
    plan_digest: str
    git_commit: str | None
    git_dirty: bool | None
    snakemake: str
    python: str
    git_problem: str | None = None


class InstalledLock(Record):
    """The lock of envs/locks that fits an environment best.

    different: package → the version in the lock and the installed one
    """

    name: str
    sha256: str
    different: dict[str, tuple[str, str]]


class InstalledEnvironment(Record):
    """environments/<fingerprint>.json: every package of an environment. lock: None where no lock is known."""

    schema_version: SchemaVersion
    fingerprint: str
    python: str
    machine: str
    lock: InstalledLock | None
    packages: dict[str, str]


class RerunOf(Record):
    """rerun_of.json: what a rerun repeats. It holds no path of the machine.

    environments: fingerprint → package → version; machines: names of the devices that were measured; machine_ids: of
        those machines that have one
    order: whether the rerun draws an order of its own; seed: of the repeated study's order
    """

    schema_version: SchemaVersion
    study: str
    plan_digest: str
    git_commit: str | None
    environments: dict[str, dict[str, str]]
    machines: tuple[str, ...]
    machine_ids: tuple[str, ...]
    order: RerunOrder
    seed: int

"""The plan cut up for jobs: a small index of all of it, and one piece per setup and per session.

A job, and a Snakemake on a cluster's node that reads the Snakefile for one job, needs its own piece and the index. So
what a job reads does not grow with its study, and nothing is expanded twice. plan.json remains the whole plan.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

from llenergymeasure.config.devices import devices_claimed
from llenergymeasure.config.settings.quantization_key import quantized_key
from llenergymeasure.config.settings.sources import ROLES, SourceIntent, sources_from_intent
from llenergymeasure.pipeline.plan.prompt_sets import hub_datasets, prompts_digests
from llenergymeasure.records.labels import as_text, setup_parts
from llenergymeasure.records.record import Record
from llenergymeasure.records.schema import SCHEMA_VERSION, SchemaVersion
from llenergymeasure.records.storage.atomic import write_json
from llenergymeasure.records.storage.parsing import BrokenRecord, read_record
from llenergymeasure.records.study.plan import Plan, PlanError, Stopping, read_plan, write_plan

INDEX = "index.json"


class IndexedSetup(Record):
    """How a setup differs from the others in words, where its weights come from, and how many devices it claims.

    devices: None where the library spreads the model over all that are visible; 0 on the processor
    quantized: folder name of its quantized weights; None where nothing is quantized, or each process does it
    contents: digest by role, for each source that is a folder
    """

    label: str
    sources: tuple[SourceIntent, ...]
    devices: int | None
    quantized: str | None
    contents: dict[str, str]

    @property
    def model_key(self) -> str:
        """Folder name of its model's snapshot, which holds the tokenizer too."""
        return next(source.key for source in self.sources if source.role == "model")


class IndexedSession(Record):
    """experiments: how many it has"""

    setup_id: str
    experiments: int


class PlanIndex(Record):
    """All that the rules and a job's progress need to know about a plan; `digest` is the plan's.

    prompts: folder name of a model's snapshot → digest of the prompt sets that its tokenizer has to read
    datasets: (org/name, commit) of each data set on a hub
    """

    schema_version: SchemaVersion
    digest: str
    replicates: int
    most_replicates: int
    stopping: Stopping | None
    reference: str
    reference_session: str
    exclusive_node: bool
    setups: dict[str, IndexedSetup]
    sessions: dict[str, IndexedSession]
    prompts: dict[str, str]
    datasets: tuple[tuple[str, str], ...]
    order: tuple[tuple[str, int], ...]

    def position(self, session_id: str, replicate: int) -> int:
        """Place of one job in the measuring order, 0 first."""
        return self._positions[session_id, replicate]

    @cached_property
    def _positions(self) -> dict[tuple[str, int], int]:
        return {entry: position for position, entry in enumerate(self.order)}

    def sources(self) -> list[SourceIntent]:
        """Every model, assistant and adapter of all setups, once."""
        return list({source.key: source for setup in self.setups.values() for source in setup.sources}.values())

    def setup_of_job(self, wildcards: Mapping[str, str]) -> str:
        """Id of the setup that a job holds, from its wildcards: `setup_id`, `session_id`, or `key` and `recipe`.

        Where several setups read the same quantized weights, it is the first.
        """
        if (setup_id := wildcards.get("setup_id")) is not None:
            return setup_id
        if (session_id := wildcards.get("session_id")) is not None:
            return self.sessions[session_id].setup_id
        quantized = f"{wildcards['key']}.quantized-{wildcards['recipe']}"
        return next(setup_id for setup_id, setup in self.setups.items() if setup.quantized == quantized)

    @property
    def experiments(self) -> int:
        return sum(session.experiments for session in self.sessions.values())


def index_from_plan(plan: Plan, *, pinned: bool = True) -> PlanIndex:
    """The index of a plan.

    pinned: False while pins are being made, when the weights that depend on them are unknown
    """
    parts = setup_parts(plan)
    return PlanIndex(
        schema_version=SCHEMA_VERSION,
        digest=plan.digest,
        replicates=plan.replicates,
        most_replicates=plan.most_replicates,
        stopping=plan.stopping,
        reference=plan.reference,
        reference_session=plan.reference_session,
        exclusive_node=plan.protocol.exclusive_node,
        setups={
            setup_id: IndexedSetup(
                label=as_text(parts[setup_id]),
                sources=tuple(sources_from_intent(plan.setup_config(setup_id))),
                devices=devices_claimed(plan.setup_config(setup_id)["pytorch"]),
                quantized=quantized_key(plan.setup_config(setup_id)) if pinned else None,
                contents=folder_digests(plan, setup_id),
            )
            for setup_id in plan.setup_ids
        },
        prompts=prompts_digests(plan) if pinned else {},
        datasets=hub_datasets(plan) if pinned else (),
        sessions={
            session.session_id: IndexedSession(setup_id=session.setup_id, experiments=len(session.experiments))
            for session in plan.sessions
        },
        order=tuple(plan.order),
    )


def folder_digests(plan: Plan, setup_id: str) -> dict[str, str]:
    """Digest by role, for each of a setup's sources that is a folder. All its experiments agree on them."""
    session = next(session for session in plan.sessions if session.setup_id == setup_id)
    read = plan.experiments[session.experiments[0]].inputs
    return {role: digest for role, digest in read.items() if role in ROLES}


def write_pieces(plan: Plan, folder: Path) -> None:
    """Write the pieces, then the index: an index with the plan's digest shows that all pieces exist."""
    (folder / INDEX).unlink(missing_ok=True)
    first_sessions = {session.setup_id: session for session in reversed(plan.sessions)}
    setups = {
        setup_id: replace(plan, **_only(plan, session.experiments[:1]), sessions=(session,))
        for setup_id, session in first_sessions.items()
    }
    sessions = {
        session.session_id: replace(plan, **_only(plan, session.experiments), sessions=(session,))
        for session in plan.sessions
    }
    for kind, pieces in (("setups", setups), ("sessions", sessions)):
        for name, piece in pieces.items():
            write_plan(piece, _path(folder, kind, name))
        for path in (folder / kind).glob("*.json"):
            if path.stem not in pieces:
                path.unlink()
    write_json(index_from_plan(plan).to_plain(), folder / INDEX)


def read_index(folder: Path) -> PlanIndex | None:
    """None where there is no index; PlanError where it cannot be read."""
    path = folder / INDEX
    if not path.exists():
        return None
    try:
        return read_record(PlanIndex, path)
    except BrokenRecord as error:
        raise PlanError(error.advise("delete it and run again")) from error


def read_piece(folder: Path, kind: str, name: str) -> Plan:
    """The plan of one setup (`setups`) or one session (`sessions`)."""
    piece = read_plan(_path(folder, kind, name))
    assert piece is not None, "Snakemake writes the plan before the first job starts"
    return piece


def _path(folder: Path, kind: str, name: str) -> Path:
    return folder / kind / f"{name}.json"


def _only(plan: Plan, members: Iterable[str]) -> dict[str, Any]:
    return {
        "experiments": {member: plan.experiments[member] for member in members},
        "order": (),
        "duplicates": (),
        "skipped": (),
        "warnings": (),
    }

"""plan/index.json: what the rules and a job's progress need to know about a plan."""

from __future__ import annotations

from llenergymeasure.records.record import Record
from llenergymeasure.records.schema import SchemaVersion
from llenergymeasure.records.study.plan import Stopping


class SourceRecord(Record):
    """What a setup loads: its role, its name, and its revision as written or pinned."""

    role: str
    name: str
    revision: str | None


class SetupRecord(Record):
    """How a setup differs from the others in words, where its weights come from, and how many devices it claims.

    devices: None where the library spreads the model over all that are visible; 0 on the processor
    quantized: folder name of its quantized weights; None where nothing is quantized, or each process does it
    contents: digest by role, for each source that is a folder
    """

    label: str
    sources: tuple[SourceRecord, ...]
    devices: int | None
    quantized: str | None
    contents: dict[str, str]


class SessionRecord(Record):
    """experiments: how many it has"""

    setup_id: str
    experiments: int


class IndexRecord(Record):
    """digest: the plan's; prompts: folder name of a model's snapshot → digest of the prompt sets that it has to read"""

    schema_version: SchemaVersion
    digest: str
    replicates: int
    most_replicates: int
    stopping: Stopping | None
    reference: str
    reference_session: str
    exclusive_node: bool
    setups: dict[str, SetupRecord]
    sessions: dict[str, SessionRecord]
    prompts: dict[str, str]
    order: tuple[tuple[str, int], ...]

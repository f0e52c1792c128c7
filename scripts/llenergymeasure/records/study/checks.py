"""validation.json and prompts/*.json: what was wrong or doubtful before anything was measured."""

from __future__ import annotations

from typing import Literal

from llenergymeasure.records.record import Record
from llenergymeasure.records.schema import SchemaVersion
from llenergymeasure.records.validity import Failure


class ProblemRecord(Record):
    """One mistake or doubt. path: of the setting, with dots; file, line: where the study has it, None where unknown."""

    severity: Literal["error", "warning"]
    path: str
    message: str
    hint: str | None
    rule: str | None
    file: str | None
    line: int | None


class CountedProblem(ProblemRecord):
    """`experiments`: how many have this problem."""

    experiments: int


class ValidationRecord(Record):
    """validation.json: what the installed libraries refuse or warn about in the plan of that digest."""

    schema_version: SchemaVersion
    plan_digest: str
    problems: tuple[CountedProblem, ...]


class CheckedSet(Record):
    """The prompts of some experiments.

    digest: over their token ids; failure: what the experiments end with. Both are None where the tokenizer cannot be
        read: loading the model fails then, and its record says so.
    experiments: how many use the set
    longest: tokens of the longest prompt, None where they were not read
    """

    digest: str | None
    failure: Failure | None
    experiments: int
    longest: int | None


class ModelPositions(Record):
    """How long prompt and output can be. limit: in tokens, None where there is no last position

    fixed: beyond it the model fails; otherwise its output is undefined. source: what states the limit
    """

    limit: int | None
    fixed: bool
    source: str


class PromptCheck(Record):
    """prompts/<model>.json: the prompts of every experiment of one model. sets: id of the set → what was checked.

    embedding_rows: None where the snapshot does not say
    positions: None where the library cannot read the model's configuration
    """

    schema_version: SchemaVersion
    model: str
    content_digest: str
    embedding_rows: int | None
    positions: ModelPositions | None
    sets: dict[str, CheckedSet]
    problems: tuple[ProblemRecord, ...]

"""plan.json: what will be measured, in which processes and in which order."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic_core import from_json

from llenergymeasure.records.record import CONFIG
from llenergymeasure.records.schema import SCHEMA_VERSION, SchemaVersion, other_schema
from llenergymeasure.records.storage.atomic import write_json
from llenergymeasure.records.storage.parsing import first_error

DRAW_AGAIN = "delete it to draw a new plan; measured sessions with the same members are kept"
Design = Literal["randomised", "sequential", "interleaved", "reverse", "williams"]


class PlanError(Exception):
    """plan.json cannot be used; the message says why and what to do."""


@dataclass(frozen=True)
class Session:
    """Experiments of one setup that share a process."""

    __pydantic_config__: ClassVar[ConfigDict] = CONFIG

    session_id: str
    setup_id: str
    experiments: tuple[str, ...]


@dataclass(frozen=True)
class PlannedExperiment:
    """config: the resolved intent; axes: matrix path → value; inputs: digests of the files that its settings only name,
    by role (pipeline/plan/inputs.py); label: its name on screen and in the report (records/labels.py).
    """

    __pydantic_config__: ClassVar[ConfigDict] = CONFIG

    setup_id: str
    session_id: str
    config: Mapping[str, Any]
    axes: Mapping[str, Any]
    inputs: Mapping[str, str]
    label: str = ""


@dataclass(frozen=True)
class Stopping:
    """When a study that asks for a precision ends: at the precision, at the most replicates, or within the budget."""

    __pydantic_config__: ClassVar[ConfigDict] = CONFIG

    target_relative_ci: float
    metric: str
    max_replicates: int
    budget_s: float | None


@dataclass(frozen=True)
class Protocol:
    """The study-wide settings that the stages need, so that a job reads the plan and not the study. None: no limit."""

    __pydantic_config__: ClassVar[ConfigDict] = CONFIG

    min_window_s: float = 0.0
    energy_resolution: float = 1.0
    foreign_load: float = 1.0
    experiment_timeout_s: float = 3600.0
    study_timeout_s: float | None = None
    max_consecutive_failures: int | None = None
    exclusive_node: bool = False
    on_failure: str = "continue"
    invalid: str = "stop"


@dataclass(frozen=True)
class Plan:
    """`reference` is the experiment whose output all others are compared with. `stopping` is None where the number of
    replicates is fixed; else `replicates` is the least, and `order` holds the most that there may be.

    order: (session id, replicate) of each job
    duplicates, skipped, warnings: what was noticed while the plan was drawn, as plain data
    """

    __pydantic_config__: ClassVar[ConfigDict] = CONFIG

    study: str
    seed: int
    isolation: str
    replicates: int
    axes: tuple[str, ...]
    experiments: Mapping[str, PlannedExperiment]
    sessions: tuple[Session, ...]
    order: tuple[tuple[str, int], ...]
    reference: str = ""
    design: Design = "randomised"
    stopping: Stopping | None = None
    protocol: Protocol = Protocol()
    duplicates: Sequence[dict[str, Any]] = ()
    skipped: Sequence[dict[str, Any]] = ()
    warnings: Sequence[dict[str, Any]] = ()
    schema_version: SchemaVersion = SCHEMA_VERSION

    @cached_property
    def _sessions_by_id(self) -> dict[str, Session]:
        return {session.session_id: session for session in self.sessions}

    @cached_property
    def _positions(self) -> dict[tuple[str, int], int]:
        return {entry: position for position, entry in enumerate(self.order)}

    def session(self, session_id: str) -> Session:
        return self._sessions_by_id[session_id]

    @property
    def reference_session(self) -> str:
        """Id of the session whose warm-up gives the reference's output."""
        return self.experiments[self.reference].session_id

    def setup_config(self, setup_id: str) -> Mapping[str, Any]:
        """The intent of the setup's first experiment; all experiments of a setup agree on how it is loaded."""
        session = next(session for session in self.sessions if session.setup_id == setup_id)
        return self.experiments[session.experiments[0]].config

    @property
    def setup_ids(self) -> list[str]:
        return list(dict.fromkeys(session.setup_id for session in self.sessions))

    @property
    def most_replicates(self) -> int:
        return self.replicates if self.stopping is None else self.stopping.max_replicates

    def position(self, session_id: str, replicate: int) -> int:
        """Place of one job in the measuring order, 0 first."""
        return self._positions[session_id, replicate]

    def to_dict(self) -> dict[str, Any]:
        return {
            **{item.name: getattr(self, item.name) for item in fields(self)},
            "axes": list(self.axes),
            # Not copied deeply: a plan has ten thousand of them.
            "experiments": {name: dict(vars(entry)) for name, entry in self.experiments.items()},
            "sessions": [{**vars(session), "experiments": list(session.experiments)} for session in self.sessions],
            "order": [list(entry) for entry in self.order],
            "stopping": None if self.stopping is None else asdict(self.stopping),
            "protocol": asdict(self.protocol),
            "duplicates": list(self.duplicates),
            "skipped": list(self.skipped),
            "warnings": list(self.warnings),
        }

    @cached_property
    def digest(self) -> str:
        """Changes when anything in the plan changes."""
        return digest_of_value(self.to_dict())


_PLAN = TypeAdapter(Plan)


def read_plan(path: Path, advice: str | None = None) -> Plan | None:
    """The plan in `path`, or None where there is none. PlanError where it is not a plan or of another schema.

    advice: what to do then; None for a plan that is to be continued
    """
    if not path.exists():
        return None
    try:
        text = path.read_bytes()
        refusal = other_schema(path, from_json(text), advice)
        if refusal is None:
            return _PLAN.validate_json(text)
    except ValidationError as error:
        raise PlanError(f"{path}: not a plan ({first_error(error)}); {advice or DRAW_AGAIN}") from error
    except (ValueError, RecursionError, OSError) as error:
        raise PlanError(f"{path}: not a plan ({type(error).__name__}: {error}); {advice or DRAW_AGAIN}") from error
    raise PlanError(refusal)


def write_plan(plan: Plan, path: Path) -> None:
    write_json(plan.to_dict(), path)


def digest_of_value(value: Any) -> str:
    """SHA-256 over canonical JSON: sorted keys, no spaces."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()

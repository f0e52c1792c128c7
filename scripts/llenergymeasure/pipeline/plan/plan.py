"""The plan: which experiments share a process, and in which order everything is measured.

The plan is append-only. It is a pure function of the study and of the plan that is already there, so that a
study can grow without measuring anything twice. A session holds experiments of one setup (the whole plot of a
split-plot design, Montgomery, *Design and Analysis of Experiments*, ch. 14); the generation settings inside it
are the sub-plots; a replicate is a fresh process with its own random order.

Nothing here imports torch: Snakemake reads this module each time it parses the Snakefile.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llenergymeasure.config.settings.protocol import MeasurementConfig, Order
from llenergymeasure.pipeline.plan.order import block_order

if TYPE_CHECKING:
    from llenergymeasure.config import Study

SCHEMA_VERSION = 2
ID_DIGITS = 12
# Of a study that goes on until it is precise enough and does not say how many at most.
MOST_REPLICATES = 30
DRAW_ANEW = "delete it to draw a new plan; measured sessions with the same members are kept"


InputsOf = Callable[[Mapping[str, Any]], Mapping[str, str]]
"""Nested settings -> the digest of each file and folder that they name, by role."""


class PlanError(Exception):
    """plan.json can't be used; the message says why and what to do."""


@dataclass(frozen=True)
class Session:
    """Experiments of one setup that share a process."""

    session_id: str
    setup_id: str
    experiments: tuple[str, ...]


@dataclass(frozen=True)
class Plan:
    """What will be measured. `experiments` maps an id to its setup, session, resolved intent, matrix values, and
    `inputs`: digests of the files that its settings only name (pipeline/plan/inputs.py).

    `protocol` holds the study-wide settings the stages need, so that a job reads the plan and not the study.
    `reference` is the experiment whose output all others are compared with. `stopping` is None where the number of
    replicates is fixed; else `replicates` is the least, and `order` holds the most that there may be.
    """

    study: str
    seed: int
    isolation: str
    replicates: int
    axes: tuple[str, ...]
    experiments: Mapping[str, Mapping[str, Any]]
    sessions: tuple[Session, ...]
    order: tuple[tuple[str, int], ...]
    reference: str = ""
    design: Order = "randomised"
    stopping: Mapping[str, Any] | None = None
    protocol: Mapping[str, Any] = field(default_factory=dict)
    duplicates: Sequence[Any] = ()
    skipped: Sequence[Any] = ()
    warnings: Sequence[Any] = ()
    schema_version: int = SCHEMA_VERSION
    _by_id: dict[str, Session] = field(default_factory=dict, repr=False, compare=False)
    _positions: dict[tuple[str, int], int] = field(default_factory=dict, repr=False, compare=False)

    def __post_init__(self) -> None:
        self._by_id.update((session.session_id, session) for session in self.sessions)
        self._positions.update((entry, position) for position, entry in enumerate(self.order))

    def session(self, session_id: str) -> Session:
        return self._by_id[session_id]

    @property
    def reference_session(self) -> str:
        """Id of the session whose warm-up gives the reference's output."""
        session_id: str = self.experiments[self.reference]["session_id"]
        return session_id

    def setup_config(self, setup_id: str) -> Mapping[str, Any]:
        """The intent of the setup's first experiment; all experiments of a setup agree on how it is loaded."""
        session = next(session for session in self.sessions if session.setup_id == setup_id)
        config: Mapping[str, Any] = self.experiments[session.experiments[0]]["config"]
        return config

    @property
    def setup_ids(self) -> list[str]:
        return list(dict.fromkeys(session.setup_id for session in self.sessions))

    @property
    def most_replicates(self) -> int:
        return self.replicates if self.stopping is None else int(self.stopping["max_replicates"])

    def position(self, session_id: str, replicate: int) -> int:
        """Place of one job in the measuring order, 0 first."""
        return self._positions[session_id, replicate]

    def to_dict(self) -> dict[str, Any]:
        names = [item.name for item in fields(self) if not item.name.startswith("_")]
        record = {name: getattr(self, name) for name in names}
        return {
            **record,
            "axes": list(self.axes),
            "sessions": [asdict(session) for session in self.sessions],
            "order": [list(entry) for entry in self.order],
        }

    @cached_property
    def digest(self) -> str:
        """Changes when anything in the plan changes."""
        return digest_of_value(self.to_dict())


def draw_plan(
    *,
    study: str,
    seed: int,
    isolation: str,
    replicates: int,
    axes: Sequence[str],
    points: Sequence[Any],
    existing: Plan | None = None,
    experiments_per_session: int | None = None,
    reference: str | None = None,
    design: Order = "randomised",
    stopping: Mapping[str, Any] | None = None,
    protocol: Mapping[str, Any] | None = None,
    duplicates: Sequence[Any] = (),
    skipped: Sequence[Any] = (),
    warnings: Sequence[Any] = (),
    inputs: InputsOf | None = None,
) -> Plan:
    """Extend `existing` to the study's points, or draw a plan where there is none.

    Sessions already planned keep their id and members; members that left the study are dropped from them, and
    experiments that are new form sessions of their own. So do experiments whose `inputs` have changed: they are
    measured again, apart from what was measured before. Where an input is not there now, it counts as unchanged.
    Another isolation makes other sessions, so it redraws; a session with the same members and inputs keeps its id even
    then, and with it its results.

    Without a `reference` the existing plan's stays, so that a study whose first value changes measures nothing
    twice; without that one either, it is the first point.
    """
    intents = {point.experiment_id: point.config.model_dump(mode="json") for point in points}
    before = {} if existing is None else {name: entry["inputs"] for name, entry in existing.experiments.items()}
    read = {name: {**before.get(name, {}), **(inputs(intent) if inputs else {})} for name, intent in intents.items()}
    kept: list[Session] = []
    if existing is not None and existing.isolation == isolation and existing.study == study:
        kept = _kept_sessions(existing, {name for name in read if read[name] == before.get(name)})
    planned = {member for session in kept for member in session.experiments}
    fresh = [point for point in points if point.experiment_id not in planned]
    sessions = [*kept, *_form_sessions(fresh, isolation, experiments_per_session, read)]
    return Plan(
        study=study,
        seed=seed,
        isolation=isolation,
        replicates=replicates,
        axes=tuple(axes),
        experiments=_planned_experiments(points, sessions, intents, read),
        sessions=tuple(sessions),
        order=_draw_order(
            sessions, replicates if stopping is None else stopping["max_replicates"], seed, design, existing
        ),
        reference=reference or _kept_reference(study, existing, intents) or points[0].experiment_id,
        design=design,
        stopping=stopping,
        protocol=dict(protocol or {}),
        duplicates=list(duplicates),
        skipped=list(skipped),
        warnings=list(warnings),
    )


def plan_of(study: Study, *, existing: Plan | None, inputs: InputsOf | None = None) -> Plan:
    """The plan of a study. Raises StudyError for what is wrong with its experiments.

    inputs: what a set of settings reads from outside, now; None: as the existing plan says
    """
    found = study.expansion()
    measurement = study.measurement
    return draw_plan(
        study=study.name,
        seed=measurement.seed,
        isolation=measurement.isolation,
        replicates=measurement.replicates,
        axes=found.axes,
        points=found.experiments,
        existing=existing,
        experiments_per_session=measurement.experiments_per_session,
        reference=found.reference,
        design=measurement.order,
        stopping=_stopping(measurement),
        protocol={
            "min_window_s": measurement.min_window_s,
            "energy_resolution": measurement.energy_resolution,
            "experiment_timeout_s": measurement.experiment_timeout_s,
            "study_timeout_s": measurement.study_timeout_s,
            "max_consecutive_failures": measurement.max_consecutive_failures,
            "exclusive_node": measurement.exclusive_node,
            "on_failure": study.config.on_failure,
            "invalid": study.config.invalid,
        },
        duplicates=found.duplicates,
        skipped=found.skipped,
        warnings=[item.to_dict() for item in found.warnings],
        inputs=inputs,
    )


def replicate_order(plan: Plan, session: Session, replicate: int) -> list[str]:
    """The order of a session's experiments in one replicate, the same on every machine."""
    return block_order(session.experiments, plan.design, replicate, f"{plan.seed}/{session.session_id}")


def read_plan(path: Path, advice: str = DRAW_ANEW) -> Plan | None:
    """The plan in `path`, or None where there is none. PlanError, with the advice, when it is not a plan."""
    if not path.exists():
        return None
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        if record["schema_version"] != SCHEMA_VERSION:
            raise PlanError(f"{path}: plan of schema version {record['schema_version']}; {advice}")
        sessions = tuple(
            Session(entry["session_id"], entry["setup_id"], tuple(entry["experiments"])) for entry in record["sessions"]
        )
        return Plan(
            **{
                **record,
                "axes": tuple(record["axes"]),
                "sessions": sessions,
                "order": tuple((session_id, replicate) for session_id, replicate in record["order"]),
            }
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OSError) as error:
        raise PlanError(f"{path}: not a plan ({type(error).__name__}: {error}); {advice}") from error


def write_plan(plan: Plan, path: Path) -> None:
    """Write atomically: a plan is whole or not there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(plan.to_dict(), indent=1) + "\n", encoding="utf-8")
    temporary.replace(path)


def _planned_experiments(
    points: Sequence[Any],
    sessions: Sequence[Session],
    intents: Mapping[str, Any],
    inputs: Mapping[str, Mapping[str, str]],
) -> dict[str, dict[str, Any]]:
    session_of = {member: session.session_id for session in sessions for member in session.experiments}
    return {
        point.experiment_id: {
            "setup_id": point.setup_id,
            "session_id": session_of[point.experiment_id],
            "config": intents[point.experiment_id],
            "axes": dict(point.axes),
            "inputs": inputs[point.experiment_id],
        }
        for point in points
    }


def _kept_sessions(existing: Plan, unchanged: Collection[str]) -> list[Session]:
    """The sessions of `existing`, with those of their experiments that are unchanged; none without any."""
    sessions = []
    for session in existing.sessions:
        if members := tuple(name for name in session.experiments if name in unchanged):
            sessions.append(replace(session, experiments=members))
    return sessions


def _kept_reference(study: str, existing: Plan | None, wanted: Mapping[str, Any]) -> str | None:
    kept = existing is not None and existing.study == study and existing.reference in wanted
    return existing.reference if kept and existing is not None else None


def _form_sessions(
    points: Sequence[Any], isolation: str, most: int | None, inputs: Mapping[str, Mapping[str, str]]
) -> list[Session]:
    """Experiments of one setup share a session; of a setup with more than `most`, sessions of nearly equal size do."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for point in points:
        key = (point.setup_id,) if isolation == "load" else (point.setup_id, point.experiment_id)
        groups.setdefault(key, []).append(point.experiment_id)
    return [
        Session(_session_id(isolation, members, inputs), key[0], tuple(members))
        for key, group in groups.items()
        for members in _divided(group, most or len(group))
    ]


def _session_id(isolation: str, members: Sequence[str], inputs: Mapping[str, Mapping[str, str]]) -> str:
    read = {name: inputs[name] for name in members if inputs[name]}
    return digest_of_value([isolation, *sorted(members), *([read] if read else [])])[:ID_DIGITS]


def _divided(group: list[str], most: int) -> list[list[str]]:
    count = -(-len(group) // most)
    return [group[len(group) * place // count : len(group) * (place + 1) // count] for place in range(count)]


def _stopping(measurement: MeasurementConfig) -> dict[str, Any] | None:
    if measurement.target_relative_ci is None:
        return None
    return {
        "target_relative_ci": measurement.target_relative_ci,
        "metric": measurement.target_metric,
        "max_replicates": measurement.max_replicates or MOST_REPLICATES,
        "budget_s": measurement.budget_s,
    }


def _draw_order(
    sessions: Sequence[Session], replicates: int, seed: int, design: Order, existing: Plan | None
) -> tuple[tuple[str, int], ...]:
    """Complete blocks: every session once in replicate 1, then in replicate 2, and so on, each in the design's order.

    A sequential design has all replicates of a session before the next. What was already planned keeps its place in
    front, so that an extended study does not reshuffle the rest.
    """
    pending = {(session.session_id, replicate) for session in sessions for replicate in range(1, replicates + 1)}
    keep_old = existing is not None and (existing.seed, existing.design) == (seed, design)
    old = [entry for entry in existing.order if entry in pending] if keep_old and existing is not None else []
    pending.difference_update(old)
    fresh: list[tuple[str, int]] = []
    for replicate in range(1, replicates + 1):
        block = [session.session_id for session in sessions if (session.session_id, replicate) in pending]
        # Randomised blocks must not depend on the order in which the study lists its values.
        members = sorted(block) if design == "randomised" else block
        fresh += [(session_id, replicate) for session_id in block_order(members, design, replicate, str(seed))]
    if design == "sequential":
        places = {session.session_id: place for place, session in enumerate(sessions)}
        fresh.sort(key=lambda entry: (places[entry[0]], entry[1]))
    return (*old, *fresh)


def digest_of_value(value: Any) -> str:
    """SHA-256 over canonical JSON: sorted keys, no spaces."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()

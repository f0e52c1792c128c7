"""The plan: which experiments share a process, and in which order everything is measured.

The plan is append-only. It is a pure function of the study and of the plan that is already there, so that a
study can grow without measuring anything twice. A session holds experiments of one setup (the whole plot of a
split-plot design, Montgomery, *Design and Analysis of Experiments*, ch. 14); the generation settings inside it
are the sub-plots; a replicate is a fresh process with its own random order.

Nothing here imports torch: Snakemake reads this module each time it parses the Snakefile.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from llenergymeasure.config.settings.protocol import MeasurementConfig, Order
from llenergymeasure.pipeline.plan.order import block_order
from llenergymeasure.records.labels import labels
from llenergymeasure.records.study.plan import Plan, PlannedExperiment, Protocol, Session, Stopping, digest_of_value

if TYPE_CHECKING:
    from llenergymeasure.config import Study

ID_DIGITS = 12
# The maximum for a study that continues until it is precise enough, where it does not set one.
MOST_REPLICATES = 30


InputsOf = Callable[[Mapping[str, Any]], Mapping[str, str]]
"""Nested settings → the digest of each file and folder that they name, by role."""


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
    stopping: Stopping | None = None,
    protocol: Protocol | None = None,
    duplicates: Sequence[Any] = (),
    skipped: Sequence[Any] = (),
    warnings: Sequence[Any] = (),
    inputs: InputsOf | None = None,
) -> Plan:
    """Extend `existing` to the study's points, or draw a new plan where there is none.

    Sessions already planned keep their id and members; members that left the study are dropped from them. New
    experiments form sessions of their own. So do experiments whose `inputs` have changed: they are measured again,
    apart from what was measured before. An input that does not exist now counts as unchanged. Another isolation makes
    other sessions, so the plan is drawn again; a session with the same members and inputs keeps its id even then, and
    with it its results.

    Where `reference` is not set, the existing plan's stays, so that a study whose first value changes measures nothing
    twice. Without an existing plan it is the first point.
    """
    intents = {point.experiment_id: point.config.model_dump(mode="json") for point in points}
    before = {} if existing is None else {name: entry.inputs for name, entry in existing.experiments.items()}
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
        experiments=_planned_experiments(axes, points, sessions, intents, read),
        sessions=tuple(sessions),
        order=_draw_order(
            sessions, replicates if stopping is None else stopping.max_replicates, seed, design, existing
        ),
        reference=reference or _kept_reference(study, existing, intents) or points[0].experiment_id,
        design=design,
        stopping=stopping,
        protocol=protocol or Protocol(),
        duplicates=list(duplicates),
        skipped=list(skipped),
        warnings=list(warnings),
    )


def plan_from_study(study: Study, *, existing: Plan | None, inputs: InputsOf | None = None) -> Plan:
    """The plan of a study. StudyError lists what is wrong with its experiments.

    inputs: gives the digests of what a set of settings reads now; None: as the existing plan says
    """
    expansion = study.expansion()
    measurement = study.measurement
    return draw_plan(
        study=study.name,
        seed=measurement.seed,
        isolation=measurement.isolation,
        replicates=measurement.replicates,
        axes=expansion.axes,
        points=expansion.experiments,
        existing=existing,
        experiments_per_session=measurement.experiments_per_session,
        reference=expansion.reference,
        design=measurement.order,
        stopping=_stopping(measurement),
        protocol=Protocol(
            min_window_s=measurement.min_window_s,
            energy_resolution=measurement.energy_resolution,
            foreign_load=measurement.foreign_load,
            experiment_timeout_s=measurement.experiment_timeout_s,
            study_timeout_s=measurement.study_timeout_s,
            max_consecutive_failures=measurement.max_consecutive_failures,
            exclusive_node=measurement.exclusive_node,
            on_failure=study.config.on_failure,
            invalid=study.config.invalid,
        ),
        duplicates=expansion.duplicates,
        skipped=expansion.skipped,
        warnings=[item.to_dict() for item in expansion.warnings],
        inputs=inputs,
    )


def replicate_order(plan: Plan, session: Session, replicate: int) -> list[str]:
    """The order of a session's experiments in one replicate, the same on every machine."""
    return block_order(session.experiments, plan.design, replicate, f"{plan.seed}/{session.session_id}")


def warmup_order(plan: Plan, session: Session) -> list[str]:
    """In which a session's experiments are warmed up and calibrated: drawn from the seed, whatever the design."""
    return block_order(session.experiments, "randomised", 0, f"{plan.seed}/{session.session_id}")


def _planned_experiments(
    axes: Sequence[str],
    points: Sequence[Any],
    sessions: Sequence[Session],
    intents: Mapping[str, Any],
    inputs: Mapping[str, Mapping[str, str]],
) -> dict[str, PlannedExperiment]:
    names = labels(axes, {point.experiment_id: point.axes for point in points})
    session_ids = {member: session.session_id for session in sessions for member in session.experiments}
    return {
        point.experiment_id: PlannedExperiment(
            setup_id=point.setup_id,
            session_id=session_ids[point.experiment_id],
            config=intents[point.experiment_id],
            axes=dict(point.axes),
            inputs=inputs[point.experiment_id],
            label=names[point.experiment_id],
        )
        for point in points
    }


def _kept_sessions(existing: Plan, unchanged: Collection[str]) -> list[Session]:
    """The sessions of `existing` with those of their experiments that are unchanged, where there are any."""
    sessions = []
    for session in existing.sessions:
        if members := tuple(name for name in session.experiments if name in unchanged):
            sessions.append(replace(session, experiments=members))
    return sessions


def _kept_reference(study: str, existing: Plan | None, intents: Mapping[str, Any]) -> str | None:
    kept = existing is not None and existing.study == study and existing.reference in intents
    return existing.reference if kept and existing is not None else None


def _form_sessions(
    points: Sequence[Any], isolation: str, most: int | None, inputs: Mapping[str, Mapping[str, str]]
) -> list[Session]:
    """Experiments of one setup share a session. A setup with more than `most` gets several of nearly equal size."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for point in points:
        key = (point.setup_id,) if isolation == "setup" else (point.setup_id, point.experiment_id)
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


def _stopping(measurement: MeasurementConfig) -> Stopping | None:
    if measurement.target_relative_ci is None:
        return None
    return Stopping(
        target_relative_ci=measurement.target_relative_ci,
        metric=measurement.target_metric,
        max_replicates=measurement.max_replicates or MOST_REPLICATES,
        budget_s=measurement.budget_s,
    )


def _draw_order(
    sessions: Sequence[Session], replicates: int, seed: int, design: Order, existing: Plan | None
) -> tuple[tuple[str, int], ...]:
    """Complete blocks: every session once in replicate 1, then in replicate 2, and so on, each in the design's order.

    A sequential design measures all replicates of a session before the next session. What was already planned keeps its
    place in front, so that a study that grows does not reshuffle the rest.
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

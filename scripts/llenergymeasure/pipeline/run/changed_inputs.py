"""The lines printed when a data file or a model's folder has changed under the same name. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from llenergymeasure.config.problems.text import first_few
from llenergymeasure.config.settings.sources import sources_from_intent
from llenergymeasure.pipeline.plan.inputs import DATASET
from llenergymeasure.pipeline.plan.plan import InputsOf
from llenergymeasure.records.storage.layout import Layout
from llenergymeasure.records.study.plan import Plan

_SHOWN_SESSIONS = 3


def changed_inputs(before: Plan | None, plan: Plan, results: Path) -> list[str]:
    """One line per file or folder that has changed since `before` was drawn, with the consequence."""
    concerned: dict[str, list[str]] = {}
    for experiment_id, entry in plan.experiments.items():
        old = None if before is None else before.experiments.get(experiment_id)
        if old is None or old.inputs == entry.inputs:
            continue
        names = _names(entry.config)
        for role, digest in entry.inputs.items():
            if role in old.inputs and old.inputs[role] != digest:
                concerned.setdefault(names[role], []).append(experiment_id)
    if before is None:
        return []
    lines = [_line(name, ids, before, results) for name, ids in concerned.items()]
    if any(plan.reference in ids for ids in concerned.values()) and len(plan.experiments) > 1:
        lines.append(
            f"experiment {plan.reference}, which reads it, is the reference that all outputs are compared with: all "
            f"{len(plan.experiments)} experiments are measured again, and the others' measurements are replaced"
        )
    return lines


def with_inputs(plan: Plan, inputs: InputsOf) -> Plan:
    """The same plan with the present contents of its files and folders. For reruns, whose sessions are fixed."""
    experiments = {
        name: replace(entry, inputs={**entry.inputs, **inputs(entry.config)})
        for name, entry in plan.experiments.items()
    }
    return replace(plan, experiments=experiments)


def _names(config: Mapping[str, Any]) -> dict[str, str]:
    return {
        DATASET: str(config["dataset"]["path"]),
        **{source.role: source.name for source in sources_from_intent(config)},
    }


def _line(name: str, ids: list[str], before: Plan, results: Path) -> str:
    count = f"{len(ids)} experiment{' is' if len(ids) == 1 else 's are'}"
    sessions = dict.fromkeys(before.experiments[experiment_id].session_id for experiment_id in ids)
    measured = [f"sessions/{session}" for session in sessions if Layout(results).session(session).exists()]
    if not measured:
        return f"{name} has changed since the plan was drawn: {count} planned again"
    return (
        f"{name} has changed since it was measured: {count} measured again, in every replicate; the results with its "
        f"old content stay in {first_few(measured, _SHOWN_SESSIONS)} and are in no table"
    )

"""What the validate job found for the same plan, for calls in which it does not run again. Imports no torch."""

from __future__ import annotations

import json
from pathlib import Path

from llenergymeasure.config.problems.problem import Problem


def previous_problems(path: Path, plan_digest: str, experiments: int) -> list[Problem]:
    """The problems in a validation.json, each with its number of experiments. Empty where it belongs to another plan.

    experiments: how many the plan has
    """
    if not path.exists():
        return []
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        if record["plan_digest"] != plan_digest:
            return []
        return [_counted(dict(item), experiments) for item in record["problems"]]
    except (OSError, ValueError, KeyError, TypeError):
        # Nothing depends on it: the job writes it again where it is needed.
        return []


def _counted(item: dict[str, object], experiments: int) -> Problem:
    count = item.pop("experiments")
    return Problem(**{**item, "message": f"{item['message']} ({count} of {experiments} experiments)"})  # type: ignore[arg-type]

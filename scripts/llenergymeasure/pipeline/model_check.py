"""What validate says about the models of a plan before any of them is fetched. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from llenergymeasure.config.problems.catalogue import MODEL_UNUSABLE
from llenergymeasure.config.problems.problem import Problem
from llenergymeasure.config.settings.sources import ROLES, SourceIntent, sources_from_intent
from llenergymeasure.config.study.lock import read_lock
from llenergymeasure.models.preflight import why_unusable
from llenergymeasure.pipeline.run.paths import MODELS
from llenergymeasure.processes.inherited import models_lock


class ModelCheck:
    """Looks at each model once. on_failure: as in the study; `stop` makes a model that cannot be used an error"""

    def __init__(self, on_failure: str) -> None:
        self._stops = on_failure == "stop"
        self._lock = read_lock(models_lock())
        self._known: dict[SourceIntent, str | None] = {}

    def problems(self, intent: Mapping[str, Any]) -> Iterator[Problem]:
        """One problem per model of an experiment that cannot be used."""
        for source in sources_from_intent(intent):
            if source not in self._known:
                self._known[source] = why_unusable(source, self._lock, Path(MODELS))
            if (reason := self._known[source]) is not None:
                problem = MODEL_UNUSABLE.problem(ROLES[source.role][0], reason)
                yield replace(problem, severity="error") if self._stops else problem

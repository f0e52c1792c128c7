"""Keys that earlier versions had under another name. In a study an old key is an error that names the new one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from llenergymeasure.config.problems.catalogue import RENAMED_KEY
from llenergymeasure.config.problems.problem import Problem


class NewName(NamedTuple):
    """The key that replaces an old one, as a dotted path, and the version that renamed it."""

    path: str
    version: str


RENAMED: Mapping[str, NewName] = {
    "n": NewName("n_prompts", "0.2.0"),
    "warmup.max_s": NewName("warmup.temperature_timeout_s", "0.2.0"),
    "measurement.experiments_per_batch": NewName("measurement.experiments_per_session", "0.2.0"),
}
"""Old dotted path → its new name."""


def present_path(path: str) -> str:
    """The path by its present name."""
    return RENAMED[path].path if path in RENAMED else path


def renamed_key(path: str, place: str) -> Problem | None:
    """The problem with an old key at a place of the study; None for any other path."""
    new = RENAMED.get(path)
    if new is None:
        return None
    message = f"was renamed in version {new.version}: write {new.path}"
    return Problem(RENAMED_KEY.severity, place, message, rule=RENAMED_KEY.id)

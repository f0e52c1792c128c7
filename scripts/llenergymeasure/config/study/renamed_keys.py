"""Keys and values that earlier versions had under another name. An old one is an error that names the new one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from llenergymeasure.config.problems.catalogue import RENAMED_KEY, RENAMED_VALUE
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


class NewValue(NamedTuple):
    """The value that replaces an old one, and the version that renamed it."""

    value: str
    version: str


RENAMED_VALUES: Mapping[tuple[str, str], NewValue] = {
    ("measurement.isolation", "load"): NewValue("setup", "0.2.0"),
    ("measurement.target_metric", "itl_s"): NewValue("tpot_s", "0.2.0"),
}
"""Dotted path and old value → the new value."""


def present_path(path: str) -> str:
    """The path by its present name."""
    return RENAMED[path].path if path in RENAMED else path


def renamed_key(path: str, place: str) -> Problem | None:
    """The problem with an old key at a place of the study; None for any other path.

    An old key counts in the wrong section too: under `defaults.`, or without its own section before it.
    """
    key = path.removeprefix("defaults.")
    new = next((new for old, new in RENAMED.items() if old == key or old.endswith(f".{key}")), None)
    if new is None:
        return None
    message = f"was renamed in version {new.version}: write {new.path}"
    return Problem(RENAMED_KEY.severity, place, message, rule=RENAMED_KEY.id)


def renamed_value(path: str, value: Any) -> Problem | None:
    """The problem with an old value of a key of the study; None for any other value."""
    new = RENAMED_VALUES.get((path, value)) if isinstance(value, str) else None
    if new is None:
        return None
    message = f"the value {value} was renamed in version {new.version}: write {new.value}"
    return Problem(RENAMED_VALUE.severity, path, message, rule=RENAMED_VALUE.id)

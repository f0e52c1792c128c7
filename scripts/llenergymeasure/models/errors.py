"""Errors of a model that the user can correct. Every message is one line that says how."""

from __future__ import annotations

from collections.abc import Sequence


class SnapshotError(Exception):
    """A model cannot be turned into a snapshot, or a snapshot differs from its record."""


class DestinationError(SnapshotError):
    """The place of a snapshot cannot be written: another model would fail there, too."""


class PinError(Exception):
    """Branch names could not be resolved. `problems` holds one line per model; the lock file is unchanged."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)

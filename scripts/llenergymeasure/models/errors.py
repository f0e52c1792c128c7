"""What can go wrong with a model that its user can put right. Every message is one line that says how."""

from __future__ import annotations

from collections.abc import Sequence


class SnapshotError(Exception):
    """A model can't be turned into a snapshot, or a snapshot is not what its record says."""


class PinError(Exception):
    """Branch names could not be resolved. `problems` holds one line a model; the lock file is unchanged."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)

"""What a replicate has measured so far, kept line by line, so that nothing is lost when a job is killed.

The journal lies beside the results under another name; it becomes the results when the session is whole.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def journalled_ids(path: Path) -> Iterator[str]:
    """The experiment of each entry, for another process than the one that writes: it leaves an unfinished line."""
    with path.open("rb") as lines:
        for line in lines:
            if line.endswith(b"\n"):
                yield json.loads(line)["record"]["experiment_id"]


class Journal:
    """Append-only entries {record, requests, power}; reopening the journal drops a line that a crash cut off."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._measured: set[str] = set()
        whole = 0
        if path.exists():
            with path.open("rb") as lines:
                for line in lines:
                    if not line.endswith(b"\n"):
                        break
                    entry = json.loads(line)
                    self._measured.add(entry["record"]["experiment_id"])
                    whole += len(line)
            os.truncate(path, whole)

    def __contains__(self, experiment_id: str) -> bool:
        return experiment_id in self._measured

    def append(self, entry: dict[str, Any]) -> None:
        """Write one entry and make sure that it is on the disk."""
        with self.path.open("a", encoding="utf-8") as lines:
            lines.write(json.dumps(entry, allow_nan=False) + "\n")
            lines.flush()
            os.fsync(lines.fileno())
        self._measured.add(entry["record"]["experiment_id"])

    def entries(self) -> Iterator[dict[str, Any]]:
        """All entries, streamed from the disk in the order in which they were measured."""
        if self.path.exists():
            with self.path.open(encoding="utf-8") as lines:
                for line in lines:
                    yield json.loads(line)

    def remove(self) -> None:
        shutil.rmtree(self.path.parent)

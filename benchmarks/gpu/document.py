"""The one JSON of an acceptance: what was checked, every figure, every verdict. It is written again after each part."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

FORMAT = 1
# The name of the file until the board's name is known.
UNKNOWN_BOARD = "unknown-board"


def write_json(path: Path, content: Any) -> None:
    """Replace the file at once, so that a reader or a kill never finds half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    whole = path.with_name(f"{path.name}.{os.getpid()}")
    whole.write_text(json.dumps(content, indent=1, default=str, allow_nan=False) + "\n", encoding="utf-8")
    whole.replace(path)


def read_json(path: Path) -> Any:
    """The content of the file; an empty mapping where it does not exist or cannot be read."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


class Document:
    """`content` as it stands in the file.

    rehearsal: true where a processor stood in for the board; such a document says nothing of a board
    only: the parts that were asked for by name, None where all were; total_s: how long all of it may take
    parts: by name, its state, seconds and figures; verdicts: one per limit, empty until the end
    """

    def __init__(
        self,
        folder: Path,
        *,
        rehearsal: bool,
        taken: str,
        commit: str | None,
        only: Sequence[str] | None,
        total_s: float,
    ) -> None:
        self.folder = folder
        self.content: dict[str, Any] = {
            "format": FORMAT,
            "rehearsal": rehearsal,
            "board": None,
            "taken": taken,
            "commit": commit,
            "only": None if only is None else list(only),
            "total_s": total_s,
            "seconds": None,
            "accepted": False,
            "verdicts": [],
            "parts": {},
        }

    @property
    def path(self) -> Path:
        """Named by the board, and as a rehearsal or as partial where it is one."""
        board = self.content["board"]
        name = UNKNOWN_BOARD if board is None else re.sub(r"[^a-z0-9]+", "-", board.lower()).strip("-")
        before = "rehearsal-" if self.content["rehearsal"] else ""
        return self.folder / f"{before}{name}{'' if self.content['only'] is None else '-partial'}.json"

    def keep(self, part: str, entry: dict[str, Any]) -> None:
        """Add a part and write the file."""
        before = self.path
        self.content["parts"][part] = entry
        self.content["board"] = self.content["board"] or _board(entry["figures"])
        self.write()
        if before != self.path:
            before.unlink(missing_ok=True)

    def write(self) -> None:
        write_json(self.path, self.content)


def _board(figures: dict[str, Any]) -> str | None:
    name = (figures.get("board") or {}).get("name")
    return name if isinstance(name, str) else None

"""Where the command of a generated file writes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


def write_file(text: str, default: Path, arguments: Sequence[str]) -> None:
    """Write the text to the file that the command line names, or else to the default."""
    target = Path(arguments[0]) if arguments else default
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text, encoding="utf-8")

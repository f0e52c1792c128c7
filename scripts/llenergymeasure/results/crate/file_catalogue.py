"""What each file of a study's results is, read from the page that says so: results/README.md."""

from __future__ import annotations

import re
from pathlib import Path

from llenergymeasure.results.reading.errors import ResultsError

STUDY = "<study>/"
_ROW = re.compile(r"^\| (?P<paths>`[^|]+`) \| (?P<text>[^|]+) \|$", re.MULTILINE)
_PATH = re.compile(r"`([^`]+)`")
_LINK = re.compile(r"\[([^\]]+)\]\([^)]+\)")


def described_files(page: Path) -> dict[str, str]:
    """Path inside a study's folder → what it is, in the page's order; a folder's ends with a slash.

    A row may name several files: those behind the first lie beside it. What lies in many like folders
    (`sessions/<session_id>/…`) is told of the folder they are in.
    """
    if not page.exists():
        raise ResultsError(f"{page} is missing: it says what the files of a study are")
    found: dict[str, str] = {}
    for row in _ROW.finditer(page.read_text(encoding="utf-8")):
        first, *others = _PATH.findall(row["paths"])
        if not first.startswith(STUDY):
            continue
        text = _LINK.sub(r"\1", row["text"]).replace("`", "").strip()
        first = first.removeprefix(STUDY)
        beside = f"{first.rpartition('/')[0]}/" if "/" in first.rstrip("/") else ""
        for path in (first, *(beside + other for other in others)):
            if "<" in path:
                folder, _, rest = path.partition("/")
                told = found.get(f"{folder}/")
                found[f"{folder}/"] = (f"{told}; " if told else "") + f"{rest}: {text}"
            else:
                found[path] = text
    return found

"""What each file in a study's results is, as plain text."""

from __future__ import annotations

import re

from llenergymeasure.records.storage.layout import STUDY

_LINK = re.compile(r"\[([^\]]+)\]\([^)]+\)")


def described_files() -> dict[str, str]:
    """Path inside a study's folder → what it is; a folder's ends with a slash.

    Files of many similar folders (`sessions/<session_id>/…`) are described with their common folder.
    """
    descriptions: dict[str, str] = {}
    for entry in STUDY:
        text = _LINK.sub(r"\1", entry.text).replace("`", "")
        folder, slash, _ = entry.pattern.rstrip("/").rpartition("/")
        for path in (entry.pattern, *(folder + slash + name for name in entry.beside)):
            if "<" in path:
                top, _, rest = path.partition("/")
                before = descriptions.get(f"{top}/")
                descriptions[f"{top}/"] = (f"{before}; " if before else "") + f"{rest}: {text}"
            else:
                descriptions[path] = text
    return descriptions

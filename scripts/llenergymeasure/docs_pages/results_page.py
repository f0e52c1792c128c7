"""The table of files in results/README.md, from the layout of the results.

python -m llenergymeasure.docs_pages.results_page [FILE]
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from llenergymeasure.records.storage.layout import MODELS, STUDY, Entry

PAGE = Path(__file__).resolve().parents[3] / "results" / "README.md"
_HEAD = "| path | what it is |\n|---|---|\n"
_TABLE = re.compile(re.escape(_HEAD) + r"(?:\|.*\n)*")


def page(text: str) -> str:
    """The page `text` with its table of files as it is now."""
    return _TABLE.sub(lambda _: table(), text)


def table() -> str:
    rows = [*(_row("models/", entry) for entry in MODELS), *(_row("<study>/", entry) for entry in STUDY)]
    return _HEAD + "".join(rows)


def _row(folder: str, entry: Entry) -> str:
    paths = ", ".join(f"`{path}`" for path in (folder + entry.pattern, *entry.beside))
    return f"| {paths} | {entry.text} |\n"


def main(arguments: list[str]) -> None:
    target = Path(arguments[0]) if arguments else PAGE
    target.write_text(page(target.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])

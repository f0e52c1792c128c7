"""docs/methodology.md is true of the code: its examples run, and its list of findings is the code's."""

from __future__ import annotations

import ast
import doctest
import re
from collections.abc import Iterator

from harness import ROOT

PAGE = ROOT / "docs" / "methodology.md"
PACKAGE = ROOT / "scripts" / "llenergymeasure"


def test_every_example_gives_what_the_page_says() -> None:
    done = doctest.testfile(str(PAGE), module_relative=False, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert done.attempted > 20
    assert done.failed == 0


def test_every_finding_is_on_the_page_with_its_verdict_and_none_that_is_not() -> None:
    rows = re.findall(r"^\| `([a-z0-9-]+)` \| (suspect|invalid) \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(rows) == sorted(set(_findings()))


def _findings() -> Iterator[tuple[str, str]]:
    """(code, severity) of every `Finding(...)` of the package whose code is written out."""
    for path in [path for room in ("energy", "measurement") for path in (PACKAGE / room).glob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Name)
                and node.func.id == "Finding"
                and node.args
            ):
                code, severity = node.args[:2]
                if isinstance(code, ast.Constant):
                    word = severity.value if isinstance(severity, ast.Constant) else ast.unparse(severity).lower()
                    yield code.value, word

"""Every target that a user calls by name has a line of help, in the Snakefile and on the page of targets."""

from __future__ import annotations

import re

from harness import ROOT

from llenergymeasure.pipeline.run.call import DOCTOR, ESTIMATE, PIN, REPLAN, RERUN, TOGETHER


def targets() -> set[str]:
    """Rules without an output are run only when they are named; and two that have one."""
    named = {"validate", TOGETHER}
    for path in (ROOT / "Snakefile", *(ROOT / "workflow/rules").glob("*.smk")):
        for rule in re.split(r"^ *(?=rule )", path.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]:
            if "output:" not in rule:
                named.add(re.match(r"rule (\w+):", rule)[1])  # type: ignore[index]
    return named - {"all"}


def test_every_target_has_a_line_of_help() -> None:
    assert targets() == {"validate", DOCTOR, ESTIMATE, PIN, REPLAN, RERUN, TOGETHER}
    help_lines = (ROOT / "Snakefile").read_text(encoding="utf-8").split('"""')[1]
    page = (ROOT / "docs/running.md").read_text(encoding="utf-8")
    for target in targets():
        assert re.search(rf"^snakemake {target} .*  \S", help_lines, re.MULTILINE), target
        assert re.search(rf"^\| `snakemake {target}\b.*` \| \S", page, re.MULTILINE), target

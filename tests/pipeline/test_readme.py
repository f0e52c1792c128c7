"""The commands of the pages for users do what they say: each is run on the README's own study, as a dry run."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from harness import ROOT, Pipeline
from pipeline.provenance.rerun_folder import begun_from

PAGES = (ROOT / "README.md", ROOT / "config" / "README.md", ROOT / "docs" / "running.md")
FENCED = r"^```{}\n(.*?)^```"


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(FENCED.format(language), page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


COMMANDS = [
    shlex.split(line, comments=True)
    for page in PAGES
    for block in blocks(page, "bash")
    for line in block.splitlines()
    # The doctor looks at the machine, for seconds: tests/pipeline/doctor calls it.
    if line.startswith("snakemake ") and "doctor" not in line
]


def test_the_pages_have_commands() -> None:
    assert len(COMMANDS) >= 4


def test_the_readme_stays_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 120


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_command_of_a_page_is_accepted_as_it_stands(pipeline: Pipeline, command: list[str]) -> None:
    study = blocks(ROOT / "README.md", "yaml")[0]
    written = pipeline.write(study, re.match(r"# (\S+)\n", study)[1])
    if "rerun" in command:
        begun_from(written, pipeline.results("my-study"))
    for example in (ROOT / "config" / "studies").glob("*.yaml"):
        pipeline.write(example.read_text(encoding="utf-8"), f"config/studies/{example.name}")
    done = pipeline.snakemake(*command[1:], "--dry-run", configfile=None)
    if "together" in command:
        # It needs studies that are measured: tests/pipeline has one.
        assert done.returncode == 1 and "there is no folder results/my-study" in done.output
        return
    if command[-1].endswith("-from-the-hub.yaml") and "pin" not in command:
        # Its models are pinned by the command before it.
        assert done.returncode == 1 and "run `snakemake pin" in done.output
        return
    assert done.returncode == 0, done.output
    if "pin" in command:
        assert done.jobs == {"pin": 1, "total": 1}
        return
    # Targets that print a table: `doctor` does so while Snakemake reads the Snakefile, and no job follows.
    if (target := command[1]) in ("doctor", "estimate"):
        assert done.jobs == ({} if target == "doctor" else {target: 1, "total": 1})
        return
    assert done.jobs["validate"] == 1
    assert done.jobs.get("measure", 0) == (0 if "validate" in command else 10)

"""docs/cluster.md explains every line of the SLURM profile. Needs no SLURM."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from harness import ROOT
from snakemake.profiles import ProfileConfigFileParser

PAGE = (ROOT / "docs/cluster.md").read_text(encoding="utf-8")
PROFILE = ROOT / "workflow/profiles/slurm/config.yaml"


def test_the_page_explains_every_line() -> None:
    explained = "\n".join(line for line in PAGE.splitlines() if line.startswith("| `"))
    for line in lines(yaml.safe_load(PROFILE.read_text(encoding="utf-8"))):
        assert f"`{line}`" in explained, line


def test_the_edits_for_a_trial_are_of_lines_that_are_there() -> None:
    edits = re.findall(r"-e 's/(.+?)/.+?/'", PAGE)
    assert len(edits) == 3
    assert all(re.search(edit, PROFILE.read_text(encoding="utf-8"), re.MULTILINE) for edit in edits)


@pytest.mark.parametrize(
    ("sacct", "asked"),
    [
        ("echo Slurm accounting storage is disabled >&2; exit 1", "squeue"),
        ("exit 0", None),
        ("echo sacct: error: Problem talking to the database >&2; exit 1", None),
        # The plugin asks the queue by itself where there is no such command.
        ("exit 127", None),
    ],
)
def test_the_queue_is_asked_where_there_is_no_accounting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sacct: str, asked: str | None
) -> None:
    command = tmp_path / "sacct"
    command.write_text(f"#!/bin/sh\n{sacct}\n", encoding="utf-8")
    command.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with PROFILE.open(encoding="utf-8") as text:
        settings = ProfileConfigFileParser().parse(text)
    assert settings["executor"] == "slurm"
    assert settings.get("slurm-status-command") == asked


def lines(settings: dict[str, Any]) -> Iterator[str]:
    """`key: value`, and `key:` where a mapping follows."""
    for key, value in settings.items():
        if isinstance(value, list):
            yield f"{key}:"
        elif isinstance(value, dict):
            yield f"{key}:"
            yield from lines(value)
        else:
            text = f'"{value}"' if str(value).startswith("'") else str(value).lower() if value is True else value
            yield f"{key}: {text}"

"""docs/cluster.md explains every line of the SLURM profile. Needs no SLURM."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import yaml
from harness import ROOT

PAGE = (ROOT / "docs/cluster.md").read_text(encoding="utf-8")
PROFILE = ROOT / "workflow/profiles/slurm/config.yaml"


def test_the_page_explains_every_line() -> None:
    explained = "\n".join(line for line in PAGE.splitlines() if line.startswith("| `"))
    for line in lines(yaml.safe_load(PROFILE.read_text(encoding="utf-8"))):
        assert f"`{line}`" in explained, line
    switched_off = re.findall(r"^# (slurm-\S+: \S+)$", PROFILE.read_text(encoding="utf-8"), re.MULTILINE)
    assert switched_off and all(f"`# {line}`" in explained for line in switched_off)


def lines(settings: dict[str, Any]) -> Iterator[str]:
    """`key: value`, and `key:` where a mapping follows."""
    for key, value in settings.items():
        if isinstance(value, dict):
            yield f"{key}:"
            yield from lines(value)
        else:
            text = f'"{value}"' if str(value).startswith("'") else str(value).lower() if value is True else value
            yield f"{key}: {text}"

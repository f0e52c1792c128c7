"""A meter is one file and one entry of the catalogue: a study may name it, and the schema and the pages have it.

That it measures is in test_meter_contract.py.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from harness import ROOT, study

from llenergymeasure.config import StudyError, study_from_mapping
from llenergymeasure.docs_pages.reference import ENERGY_PAGE, README
from llenergymeasure.docs_pages.schema import study_schema
from llenergymeasure.records.meters import METERS, opened_only_when_named, read_at_intervals

PROGRAM = """
import json, pathlib, sys
import toy_meter
toy_meter.register()
from llenergymeasure.config import study_from_mapping
from llenergymeasure.docs_pages.reference import ENERGY_PAGE, README, with_fresh_tables
from llenergymeasure.docs_pages.schema import study_schema

made = study_from_mapping(json.loads(sys.argv[1]), lock_path=pathlib.Path("lock"))
print(json.dumps({
    "meters": [config.energy.meters for config in made.expand()],
    "warnings": [problem.rule for problem in made.expansion().warnings],
    "schema": study_schema(),
    "pages": [with_fresh_tables(page.read_text(encoding="utf-8")) for page in (README, ENERGY_PAGE)],
}))
"""
NAMED = study(defaults={"energy": {"meters": ["toy"], "power_interval_s": 0.2}})

EVERY = "/".join(METERS)


@pytest.fixture(scope="module")
def with_toy(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the config and the pages say in a process where the toy's entry is in the catalogue."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps(NAMED)],
        env={"PYTHONPATH": f"{ROOT / 'scripts'}:{Path(__file__).parents[1]}"},
        cwd=tmp_path_factory.mktemp("empty"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def test_a_study_may_name_it_and_set_how_often_it_is_read(with_toy: dict[str, Any]) -> None:
    assert with_toy["meters"] == [["toy"]]
    assert "meter-setting-unused" not in with_toy["warnings"]


def test_without_its_entry_it_is_refused() -> None:
    with pytest.raises(StudyError, match=f"energy.meters.*{EVERY}"):
        study_from_mapping(NAMED, lock_path=Path("lock"))


def test_the_schema_has_it(with_toy: dict[str, Any]) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    jsonschema.Draft202012Validator(with_toy["schema"]).validate(NAMED)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(study_schema()).validate(NAMED)


def test_the_pages_have_it_where_they_have_every_meter(with_toy: dict[str, Any]) -> None:
    settings, energy = with_toy["pages"]
    assert f"| a list of {EVERY}/toy, not empty |" in settings
    assert f"Opened only where a study names it: {', '.join([*opened_only_when_named(), 'toy'])}." in settings
    assert f"read in this way: {', '.join([*read_at_intervals(), 'toy'])}." in settings
    assert "| `toy` | wall plugs | yes | only where a study names it; a wall plug |" in settings
    assert "| `measured:toy` | the whole machine | a counter that a test made up |" in energy


def test_every_entry_is_on_the_pages() -> None:
    settings, energy = (page.read_text(encoding="utf-8") for page in (README, ENERGY_PAGE))
    for entry in METERS.values():
        assert f"| `{entry.name}` | {entry.covers} |" in settings
        for source in entry.sources:
            assert f"| `{source.name}` | {source.covers} | {source.how} |" in energy

"""What is generated from the models is fresh, and what is documented is true."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from llenergymeasure.config import study_from_mapping
from llenergymeasure.config.introspection import get_validation_rules
from llenergymeasure.config.rules.checked import ExperimentConfig
from llenergymeasure.config.settings.setting_paths import leaves, sections
from llenergymeasure.config.settings.study_config import StudyConfig
from llenergymeasure.docs_pages.reference import ENERGY_PAGE, README, VERDICTS_PAGE, table_names, with_fresh_tables
from llenergymeasure.docs_pages.schema import ROOT, SCHEMA_FILE, schema_text, study_schema

PAGE = README.read_text(encoding="utf-8")
DOCUMENTED = [
    pytest.param(block, id=f"{page.relative_to(ROOT)}-{number}")
    for page in (ROOT / "README.md", README, *sorted((ROOT / "docs").glob("*.md")))
    for number, block in enumerate(
        re.findall(r"^```yaml\n(.*?)^```", page.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    )
]
STUDIES = [ROOT / "config" / "config.yaml", *sorted((ROOT / "config" / "studies").glob("*.yaml"))]


def test_schema_is_fresh() -> None:
    assert SCHEMA_FILE.read_text(encoding="utf-8") == schema_text(), "python -m llenergymeasure.docs_pages.schema"


def test_readme_tables_are_fresh() -> None:
    assert with_fresh_tables(PAGE) == PAGE, "python -m llenergymeasure.docs_pages.reference"


@pytest.mark.parametrize(("path", "table"), [(ENERGY_PAGE, "energy-sources"), (VERDICTS_PAGE, "findings")])
def test_tables_of_the_catalogues_are_fresh(path: Path, table: str) -> None:
    page = path.read_text(encoding="utf-8")
    assert table in table_names(page)
    assert with_fresh_tables(page) == page, "python -m llenergymeasure.docs_pages.reference"


def test_commands_write_the_files(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# a\n<!-- generated: presets -->\nold\n<!-- end -->\nb\n")
    for module, file in (("schema", tmp_path / "new" / "schema.json"), ("reference", page)):
        subprocess.run(
            [sys.executable, "-m", f"llenergymeasure.docs_pages.{module}", str(file)],
            env={"PYTHONPATH": str(ROOT / "scripts")},
            check=True,
        )
    assert (tmp_path / "new" / "schema.json").read_text(encoding="utf-8") == schema_text()
    assert "old" not in page.read_text() and "| `factual` |" in page.read_text()


def test_readme_has_every_key_and_rule() -> None:
    assert {"study", "measurement", "experiment", "presets", "rules", *sections()} <= set(table_names(PAGE))
    for path in [*leaves(), *StudyConfig.model_fields]:
        assert f"| `{path.rpartition('.')[2]}` |" in PAGE, path
    for rule in get_validation_rules():
        assert f"| `{rule['id']}` |" in PAGE


@pytest.mark.parametrize("block", DOCUMENTED)
def test_documented_examples_load(block: str, tmp_path: Path) -> None:
    content = yaml.safe_load(block)
    validate(content)
    # Whether the package is installed is not what an example is about.
    made = study_from_mapping(content, lock_path=tmp_path / "lock", require_pins=False)
    assert made.expand()


def test_there_are_documented_examples() -> None:
    assert len(DOCUMENTED) >= 6


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.name)
def test_studies_fit_the_schema_and_can_be_planned(path: Path, tmp_path: Path) -> None:
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    validate(content)
    # A model of a hub needs a network before its commit is known; its study is checked without.
    assert study_from_mapping(content, lock_path=tmp_path / "lock", require_pins=False).expand()


@pytest.mark.parametrize(
    "study",
    [
        {"defaults": {}},
        {"study": "a", "defaults": {"batchsize": 2}},
        {"study": "a", "defaults": {"pytorch": {"batchsize": 2}}},
        {"study": "a", "defaults": {"pytorch.batch_size": "2"}},
        {"study": "a", "matrix": {"pytorch.batch_size": 2}},
        {"study": "a", "matrix": {"pytorch.batch_size": []}},
        {"study": "a", "matrix": {"pytorch.batchsize": [2]}},
        {"study": "a", "matrix": {"pytorch.cache_implementation": ["hybrid"]}},
        {"study": "a", "exclude": [{}]},
        {"study": "../a"},
    ],
)
def test_schema_refuses(study: dict[str, Any]) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    with pytest.raises(jsonschema.ValidationError):
        validate(study)


def test_schema_references_resolve() -> None:
    schema = study_schema()
    for pointer in re.findall(r'"\$ref": "#/([^"]+)"', json.dumps(schema)):
        node: Any = schema
        for part in pointer.split("/"):
            node = node[part]


def validate(content: Any) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    jsonschema.Draft202012Validator(study_schema()).validate(content)


def test_import_is_light() -> None:
    """Snakemake reads the package each time it parses the Snakefile."""
    program = (
        "import sys, time; start = time.process_time(); import llenergymeasure.config; "
        "heavy = {'torch', 'transformers', 'snakemake', 'numpy', 'pandas'} & set(sys.modules); "
        "assert not heavy, heavy; print(time.process_time() - start)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": str(ROOT / "scripts")},
        capture_output=True,
        text=True,
        check=True,
    )
    # 0.3 s on 2 cores of 2024; the margin is for slower ones.
    assert float(done.stdout) < 1.0


def test_every_section_is_frozen_and_strict() -> None:
    for model in (ExperimentConfig, StudyConfig, *sections().values()):
        assert model.model_config["frozen"] and model.model_config["strict"] and model.model_config["extra"] == "forbid"

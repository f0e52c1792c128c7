"""Every page that a reader opens: links lead somewhere, paths exist, versions agree."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
import yaml
from benchmarks.__main__ import BENCHMARKS
from harness import ROOT

import llenergymeasure

PAGES = [
    *sorted(ROOT.glob("*.md")),
    *sorted((ROOT / "docs").glob("*.md")),
    ROOT / "config" / "README.md",
    ROOT / "results" / "README.md",
]
LINK = re.compile(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]+))?\)")
PACKAGE = ROOT / "scripts" / "llenergymeasure"
# Between backticks, from the root of the repository or of the package.
FOLDERS = "|".join(
    sorted({path.name for root in (ROOT, PACKAGE) for path in root.iterdir() if path.is_dir() and path.name[0] != "."})
)
PATH = re.compile(rf"`((?:{FOLDERS})/[A-Za-z0-9_./-]+)`")
CODE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives to a page's headings."""
    headings = re.findall(r"^#+ (.+)$", CODE.sub("", page.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_to_a_file_and_a_heading_that_exist(page: Path) -> None:
    broken = []
    for target, anchor in LINK.findall(CODE.sub("", page.read_text(encoding="utf-8"))):
        file = (page.parent / target).resolve() if target else page
        if not file.exists() or (anchor and anchor not in anchors(file)):
            broken.append(f"{target}#{anchor}")
    assert broken == []


@pytest.mark.parametrize(
    "page", [ROOT / "CONTRIBUTING.md", ROOT / "docs" / "architecture.md"], ids=lambda page: page.stem
)
def test_every_path_that_a_page_for_developers_names_exists(page: Path) -> None:
    paths = set(PATH.findall(page.read_text(encoding="utf-8")))
    assert len(paths) > 10
    assert [path for path in paths if not any((root / path).exists() for root in (ROOT, PACKAGE))] == []


def test_the_version_is_the_same_everywhere() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    (latest, *_) = re.findall(r"^## \[(\d[^]]*)\]", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert {project["version"], citation["version"], latest} == {llenergymeasure.__version__}


def test_the_page_of_figures_has_a_row_for_every_benchmark_that_runs_without_a_gpu() -> None:
    page = (ROOT / "docs" / "measured.md").read_text(encoding="utf-8")
    assert set(re.findall(r"python -m benchmarks (\w+)", page)) == set(BENCHMARKS) - {"gpu_energy"}

"""The house: which package may import which, how large a folder, a file and a function may be."""

from __future__ import annotations

import ast
import re
import tomllib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import grimp
import networkx
import pytest
from harness import ROOT

PACKAGE = "llenergymeasure"
SOURCE = ROOT / "scripts" / PACKAGE
TESTS = ROOT / "tests"
# From the top down: a package imports those below it, never those above.
LAYERS = (
    "pipeline",
    "measurement",
    "results",
    "docs_pages",
    "engine",
    "energy",
    "models",
    "processes",
    "config",
    "records",
)
MOST_FILES, MOST_LINES, LONGEST_FUNCTION = 17, 350, 60


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    return grimp.build_graph(PACKAGE)


def test_every_package_has_its_layer() -> None:
    assert {path.parent.name for path in SOURCE.glob("*/__init__.py")} == set(LAYERS)


def test_imports_point_down(graph: grimp.ImportGraph) -> None:
    dependencies = graph.find_illegal_dependencies_for_layers(LAYERS, containers={PACKAGE})
    assert {(dependency.importer, dependency.imported) for dependency in dependencies} == set()


def test_no_files_import_each_other_in_a_circle(graph: grimp.ImportGraph) -> None:
    imports = networkx.DiGraph(
        (module, imported) for module in graph.modules for imported in graph.find_modules_directly_imported_by(module)
    )
    circles = [sorted(circle) for circle in networkx.strongly_connected_components(imports) if len(circle) > 1]
    assert circles == []


@pytest.mark.parametrize("root", [SOURCE, TESTS], ids=["source", "tests"])
def test_folders_are_small(root: Path) -> None:
    folders = Counter(path.parent for path in root.rglob("*.py") if path.name != "__init__.py")
    assert {str(folder): count for folder, count in folders.items() if count > MOST_FILES} == {}


def test_every_folder_of_tests_is_run() -> None:
    options = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["pytest"]["ini_options"]
    folders = {f"tests/{path.relative_to(TESTS).parts[0]}" for path in TESTS.rglob("test_*.py")}
    assert folders == set(options["testpaths"])


def test_files_are_short() -> None:
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in _ours()}
    assert {str(path): length for path, length in lengths.items() if length > MOST_LINES} == {}


def test_functions_are_short() -> None:
    lengths = {
        f"{path}: {node.name}": node.end_lineno - node.lineno + 1
        for path in _ours()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno is not None
    }
    assert {name: length for name, length in lengths.items() if length > LONGEST_FUNCTION} == {}


def test_rules_hold_no_state_beside_the_study_run() -> None:
    common = ROOT / "workflow" / "rules" / "common.smk"
    assert len(common.read_text(encoding="utf-8").splitlines()) <= 100
    assigned = [
        name
        for path in (ROOT / "workflow" / "rules").glob("*.smk")
        for name in re.findall(r"^(?:    )?([A-Z][A-Z_]*) = ", path.read_text(encoding="utf-8"), re.MULTILINE)
    ]
    # A study, or the results of several; one call has one of the two.
    assert assigned == ["RUN", "RUN"]


def _ours() -> Iterator[Path]:
    for folder in ("scripts", "benchmarks", "tests"):
        yield from (ROOT / folder).rglob("*.py")

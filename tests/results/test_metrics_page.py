"""docs/metrics.md is true of the declarations."""

from __future__ import annotations

import ast

from harness import ROOT

from llenergymeasure.results.metrics_page import page
from llenergymeasure.results.records import METRICS, QUANTITIES


def test_the_page_is_up_to_date() -> None:
    assert (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8") == page(), (
        "run python -m llenergymeasure.results.metrics_page with scripts/ on PYTHONPATH"
    )


def test_every_formula_is_made_of_what_the_page_explains() -> None:
    known = {*QUANTITIES, *METRICS, "mean", "sum"}
    for metric in METRICS.values():
        if metric.formula:
            names = {node.id for node in ast.walk(ast.parse(metric.formula)) if isinstance(node, ast.Name)}
            assert names <= known, metric.name
    used = {name for metric in METRICS.values() for name in QUANTITIES if name in metric.formula}
    assert used == set(QUANTITIES)

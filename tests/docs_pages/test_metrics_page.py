"""docs/metrics.md is true of the declarations."""

from __future__ import annotations

import ast
from pathlib import Path

import pandas as pd
import pytest
from harness import ROOT
from results.study_folder import MEASURED, StudyFolder, study_folder

from llenergymeasure.docs_pages.metrics_page import page
from llenergymeasure.records.derived_columns import FILES, SUFFIXES
from llenergymeasure.records.metrics import METRICS, QUANTITIES, SUMMARY_METRICS
from llenergymeasure.records.study.equivalence import Equivalence
from llenergymeasure.results.tables.rerun_comparison import SIDES, write_comparison
from llenergymeasure.results.tables.together import read_together

# Of every column that is a number, what is not a figure: the place of a row in the study.
KEYS = {"replicate"}


def test_the_page_is_up_to_date() -> None:
    assert (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8") == page(), (
        "run python -m llenergymeasure.docs_pages.metrics_page with scripts/ on PYTHONPATH"
    )


def test_every_formula_is_made_of_what_the_page_explains() -> None:
    known = {*QUANTITIES, *METRICS, "mean", "sum"}
    for metric in METRICS.values():
        if metric.formula:
            names = {node.id for node in ast.walk(ast.parse(metric.formula)) if isinstance(node, ast.Name)}
            assert names <= known, metric.name
    used = {name for metric in METRICS.values() for name in QUANTITIES if name in metric.formula}
    assert used == set(QUANTITIES)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> StudyFolder:
    study = study_folder(tmp_path_factory.mktemp("page") / "study", source=MEASURED)
    study.results()
    # What it repeats may be anything; itself will do.
    write_comparison(study.root, study.root, study.root / "comparison.csv", Equivalence())
    both = read_together([study.root, study.root])
    (study.root / "together").mkdir()
    both.table.to_csv(study.root / "together/together.csv", index=False)
    both.folders.to_csv(study.root / "together/folders.csv", index=False)
    return study


def tables(folder: StudyFolder) -> list[list[str]]:
    """The columns with figures of each table, in the order of `FILES`."""
    root, settings = folder.root, set(folder.read().plan.axes)
    of_runs = {*_figures(pd.read_parquet(root / "runs.parquet")), *_figures(pd.read_parquet(root / "summary.parquet"))}
    return [
        sorted(of_runs - settings - KEYS),
        *(_columns(root / f"{name}.csv") for name in ("latencies", "token_costs", "costs", "comparison")),
        *(_columns(root / "together" / f"{name}.csv") for name in ("together", "folders")),
    ]


def _figures(table: pd.DataFrame) -> list[str]:
    return [
        name
        for name in table.columns
        if pd.api.types.is_numeric_dtype(table[name].dtype) and table[name].dtype != "boolean"
    ]


def _columns(path: Path) -> list[str]:
    texts = {"experiment_id", "metric", "setup_id", "experiments", "energy_source", "boundary", "reason", "status"}
    texts |= {"terms", "holds", "prompts_ci95_reason"}
    texts |= {"currency", "grid_intensity_source", "rerun_of", "configuration", "verdict", "order"}
    texts |= {"folder", "mark", "stragglers", "outliers"}
    texts |= {
        "output_identical",
        "differs",
        *(f"{side}_{name}" for side in SIDES for name in ("status", "energy_source")),
    }
    return [name for name in pd.read_csv(path).columns if name not in texts]


def test_every_figure_of_every_table_is_on_the_page_and_no_other(folder: StudyFolder) -> None:
    first = True
    for columns, declared in zip(tables(folder), FILES.values(), strict=True):
        names = {*declared}
        if first:  # the metrics themselves, and what is made of them
            names |= set(METRICS)
            names |= {name.replace("<metric>", metric) for name in declared for metric in METRICS if "<metric>" in name}
        unknown = [name for name in columns if not any(f"{stem}{end}" == name for stem in names for end in SUFFIXES)]
        assert unknown == []
        gone = [
            name
            for name in declared
            if not any(
                f"{name.replace('<metric>', metric)}{end}" in columns for metric in SUMMARY_METRICS for end in SUFFIXES
            )
        ]
        assert gone == []
        first = False

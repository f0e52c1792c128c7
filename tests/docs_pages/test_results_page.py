"""results/README.md names every column of the summary and every file that a study leaves."""

from __future__ import annotations

from pathlib import Path

from harness import ROOT
from results.study_folder import study_folder

from llenergymeasure.docs_pages.results_page import page
from llenergymeasure.pipeline.run.paths import StudyPaths
from llenergymeasure.records.metrics import METRICS
from llenergymeasure.records.storage.files import POWER, REQUESTS

PAGE = (ROOT / "results" / "README.md").read_text(encoding="utf-8")
HEAD = {"experiment_id", "setup_id", "status", "failure_reason", "replicates", "model", "revision", "precision"}


def test_every_column_of_the_summary_is_on_the_page(tmp_path: Path) -> None:
    folder = study_folder(tmp_path / "study")
    summary = folder.results().summary
    settings = set(folder.read().plan.axes)
    # Longest first: net_energy_per_request_j holds energy_per_request_j.
    metrics = sorted(METRICS, key=len, reverse=True)
    missing = []
    for column in set(summary.columns) - HEAD - settings:
        metric = next((name for name in metrics if column.startswith(f"{name}_")), None)
        shown = column if metric is None else column.removeprefix(metric)
        if f"{shown}`" not in PAGE and not column.startswith("output_match_"):
            missing.append(column)
    assert missing == []


def test_every_column_of_the_other_tables_is_on_the_page(tmp_path: Path) -> None:
    folder = study_folder(tmp_path / "study")
    runs = {name for name in folder.results().runs.columns if "_u_" not in name and "output_match" not in name}
    columns = (*REQUESTS.names, *POWER.names, *(runs - HEAD - {*METRICS}))
    assert [name for name in columns if f"`{name}`" not in PAGE] == []


def test_every_file_of_a_study_is_on_the_page() -> None:
    paths = StudyPaths("quick")
    files = [Path(path) for path in vars(paths).values() if Path(path).parent == Path(paths.results)]
    outputs = {path.name for path in files if path.suffix and not path.name.startswith(".")}
    assert len(outputs) >= 6
    assert {name for name in outputs if f"{name}`" not in PAGE} == set()


def test_the_table_of_files_is_that_of_the_layout() -> None:
    assert page(PAGE) == PAGE, "run make pages"

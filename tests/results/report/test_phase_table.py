"""The tables of phases, baselines and token costs, as a reader sees them."""

from __future__ import annotations

from pathlib import Path

import pytest
from results.page_reader import Node, read_page
from results.record_changes import without_energy
from results.study_folder import MEASURED, StudyFolder, study_folder

from llenergymeasure.results.report.page import render


def tables_of(folder: StudyFolder) -> Node:
    return read_page(render(folder.results())).section("phase-tables")


def test_prefill_is_shown_both_ways_with_how_often_they_agree(tmp_path: Path) -> None:
    folder = study_folder(tmp_path / "study", source=MEASURED)
    head, *rows = tables_of(folder).table()
    assert head[2].startswith("Prefill energy") and head[3].startswith("Prefill energy by trace")
    assert head[-2:] == ["Agree", "Baseline share"]
    assert len(rows) == 4
    for row in rows:
        window, trace = (float(cell.split("±")[0].replace(" ", "")) for cell in row[2:4])
        assert trace == pytest.approx(1.01 * window, rel=0.01)
        # The second of the three replicates was made to disagree.
        assert row[-2] == "2 of 3"
        assert row[-1] == "30 %"


def test_an_estimate_has_no_trace_and_says_so(tmp_path: Path) -> None:
    section = tables_of(study_folder(tmp_path / "study"))
    _, *rows = section.table()
    for row in rows:
        assert row[3] == "unknown"
        assert row[-2] == "not compared"
    cell = section.all("table")[0].all("tr")[1].all("td")[3]
    assert cell.attributes["title"] == "the meter gives no trace of the window"


def test_without_energy_there_is_no_such_table(tmp_path: Path) -> None:
    folder = study_folder(tmp_path / "study")
    for number in range(4):
        for replicate in (1, 2, 3):
            folder.change(number, replicate, without_energy("NVML is not there"))
    assert read_page(render(folder.results())).all("section", id="phase-tables") == []

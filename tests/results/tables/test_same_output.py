"""A setting that is cheaper because it says something else must not look like a saving."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from results.made_up_run import ESTIMATED
from results.page_reader import page_from_folder, read_page
from results.record_changes import fail
from results.study_folder import MEASURED, StudyFolder, study_folder

from llenergymeasure.results.report.page import render
from llenergymeasure.results.report.terminal_summary import five_lines

WIDTHS = {"pytorch.load_in_8bit": [None, True], "pytorch.batch_size": [1, 4]}
COLUMNS = [
    "output_match_reference",
    "output_match_identical",
    "output_match_first_difference",
    "output_match_equal_token_share",
    "output_match_reference_logprob",
]


@pytest.fixture
def folder(tmp_path: Path) -> StudyFolder:
    """Two widths × two batch sizes, in which eight bits say something else than the reference, and cost more."""
    folder = study_folder(tmp_path / "study", matrix=WIDTHS, source=MEASURED)
    for experiment in (2, 3):
        costs(folder, experiment, 50.0)
    return folder


def rows_of(folder: StudyFolder) -> list[dict[str, str]]:
    with (folder.root / "summary.csv").open(newline="", encoding="utf-8") as lines:
        return list(csv.DictReader(lines))


def costs(folder: StudyFolder, experiment: int, energy_j: float) -> None:
    for replicate in (1, 2, 3):
        folder.change(
            experiment, replicate, lambda record: record["metrics"].update(energy_per_output_token_j=energy_j)
        )


def output_match(**changes: Any) -> Any:
    return lambda record: record["output_match"].update(changes)


def test_the_summary_has_it_after_all_other_columns(folder: StudyFolder) -> None:
    folder.change(2, 2, output_match(first_difference=1, equal_token_share=0.25, reference_logprob_mean=-2.6))
    folder.write().aggregate()
    rows = rows_of(folder)
    columns = list(rows[0])
    first = columns.index(COLUMNS[0])
    assert columns[first : first + 5] == COLUMNS and columns.index("notes") == first - 1
    assert [row["output_match_reference"] for row in rows] == [folder.ids[0]] * 4
    assert [row["output_match_identical"] for row in rows] == ["True", "True", "False", "False"]
    # The earliest of the replicates, and not 1.0; the means of the others.
    assert [row["output_match_first_difference"] for row in rows] == ["", "", "1", "3"]
    assert float(rows[2]["output_match_equal_token_share"]) == pytest.approx((0.625 + 0.25 + 0.625) / 3)
    assert float(rows[2]["output_match_reference_logprob"]) == pytest.approx(-(2.0 + 2.6 + 2.0) / 3)
    assert list(pd.read_parquet(folder.root / "summary.parquet").columns) == columns


def test_one_replicate_that_differs_is_not_identical(folder: StudyFolder) -> None:
    folder.change(1, 3, output_match(identical=False, first_difference=15, equal_token_share=0.99))
    assert rows_of(folder.write().aggregate())[1]["output_match_identical"] == "False"


def test_runs_hold_each_replicates_own(folder: StudyFolder) -> None:
    folder.change(2, 2, output_match(first_difference=1))
    folder.change(0, 1, fail("measure", "WorkerLost", "killed"))
    folder.write().aggregate()
    runs = pd.read_parquet(folder.root / "runs.parquet")
    assert list(runs.columns[-5:]) == COLUMNS
    assert runs["output_match_first_difference"].tolist()[6:9] == [3, 1, 3]
    assert pd.isna(runs["output_match_identical"].iloc[0])
    assert runs["output_match_identical"].iloc[1]


def test_the_table_names_the_reference_and_what_differs(folder: StudyFolder) -> None:
    section = page_from_folder(folder).section("same-output")
    rows = section.table()[1:]
    assert [row[1] for row in rows] == ["identical", "identical", "differs from token 3", "differs from token 3"]
    assert rows[0][0] == "batch_size1REFERENCE"
    assert rows[0][2:] == ["100.0 %", "−1.750", "–", "–"]
    assert rows[1][2:5] == ["100.0 %", "−1.750", "0.000"]
    assert rows[2][2:5] == ["62.5 %", "−2.000", "−0.250"]
    means = folder.read().summary["energy_per_output_token_j_mean"]
    assert rows[3][5] == f"{100 * (means[3] / means[0] - 1):+.1f} %"
    # Slower and dearer here: nothing to warn of.
    assert not section.all("div", class_="banner")


def test_the_reference_is_first_wherever_it_is_in_the_study(tmp_path: Path) -> None:
    folder = study_folder(
        tmp_path / "study",
        matrix=WIDTHS,
        measurement={"replicates": 3, "reference": {"pytorch.load_in_8bit": True, "pytorch.batch_size": 4}},
    )
    rows = page_from_folder(folder).section("same-output").table()[1:]
    assert rows[0][0] == "load_in_8bittrue batch_size4REFERENCE"
    assert [row[1][:9] for row in rows] == ["identical", "differs f", "differs f", "identical"]


def test_a_cheaper_setting_that_changes_the_output_is_marked_everywhere(folder: StudyFolder) -> None:
    costs(folder, 3, 1e-3)
    page = page_from_folder(folder)
    section = page.section("same-output")
    (badge,) = section.all("span", class_="badge")[1:]
    assert badge.text == "CHEAPER, DIFFERENT OUTPUT"
    assert [row[0] for row in section.table() if "CHEAPER" in row[1]] == ["load_in_8bittrue batch_size4"]
    assert "1 configuration has a lower mean energy per token than the reference" in section.text
    (best,) = (card for card in page.all("div", class_="card") if "Best by energy" in card.text)
    assert "Different output: its tokens differ from the reference's from token 3" in best.text
    energy = five_lines(folder.read(), Path("report.html")).splitlines()[1]
    assert "load_in_8bit=true batch_size=4" in energy
    assert "its output differs from the reference's from token 3" in energy


def test_a_cheaper_setting_with_the_same_output_is_not_marked(folder: StudyFolder) -> None:
    costs(folder, 1, 1e-3)
    page = page_from_folder(folder)
    assert "CHEAPER" not in page.text
    assert "Different output" not in page.text
    assert "its output" not in five_lines(folder.read(), Path("report.html"))


def test_energy_from_another_source_is_not_called_cheaper(folder: StudyFolder) -> None:
    costs(folder, 3, 1e-3)
    for replicate in (1, 2, 3):
        folder.change(3, replicate, lambda record: record.update(energy_source=ESTIMATED))
    section = page_from_folder(folder).section("same-output")
    assert "CHEAPER" not in section.text
    assert section.table()[4][5] == "–"


def test_the_ranking_has_a_marker(folder: StudyFolder) -> None:
    head, _, *rows = page_from_folder(folder).section("ranking").table()
    column = head.index("Same output")
    markers = {row[1]: row[column] for row in rows}
    assert markers == {
        "batch_size1": "yes",
        "batch_size4": "yes",
        "load_in_8bittrue batch_size1": "from token 3",
        "load_in_8bittrue batch_size4": "from token 3",
    }


def test_what_cannot_be_compared_says_why(folder: StudyFolder) -> None:
    nothing = {"identical": None, "first_difference": None, "equal_token_share": None, "reference_logprob_mean": None}
    for replicate in (1, 2, 3):
        folder.change(
            1, replicate, output_match(comparable=False, reason="other prompts than the reference's", **nothing)
        )
        folder.change(
            2, replicate, output_match(reference_logprob_mean=None, logprob_reason="OutOfMemoryError: no room")
        )
        folder.change(3, replicate, fail("load", "ImportError", "no kernel"))
    page = page_from_folder(folder)
    section = page.section("same-output")
    rows = {row[0]: row[1:] for row in section.table()[1:]}
    assert rows["batch_size4"] == [
        "not compared: other prompts than the reference's",
        "–",
        "–",
        "–",
        rows["batch_size4"][4],
    ]
    assert rows["load_in_8bittrue batch_size4FAILED"][0] == "not compared: no replicate gave figures"
    assert rows["load_in_8bittrue batch_size1"][1:4] == ["62.5 %", "–", "–"]
    assert "OutOfMemoryError: no room" in [cell.attributes.get("title") for cell in section.all("td")]
    marker = {row[1]: row[-3] for row in page.section("ranking").table()[2:]}
    assert marker["batch_size4"] == "–"
    assert not section.all("div", class_="banner")


def test_a_reference_that_failed_is_reported_once_and_loudly(folder: StudyFolder) -> None:
    reason = "the reference experiment failed"
    nothing = {"identical": None, "first_difference": None, "equal_token_share": None, "reference_logprob_mean": None}
    for replicate in (1, 2, 3):
        folder.change(0, replicate, fail("load", "ImportError", "no kernel"))
        for experiment in (1, 2, 3):
            folder.change(experiment, replicate, output_match(comparable=False, reason=reason, **nothing))
    (banner,) = page_from_folder(folder).section("same-output").all("div", class_="banner")
    assert banner.text.startswith("No output could be compared:")
    assert reason in banner.text


def test_nearly_all_tokens_are_not_all(folder: StudyFolder) -> None:
    for replicate in (1, 2, 3):
        folder.change(2, replicate, output_match(equal_token_share=0.99999))
    assert page_from_folder(folder).section("same-output").table()[3][2] == "> 99.9 %"


def test_a_run_that_was_compared_with_another_reference_does_not_count(folder: StudyFolder) -> None:
    for replicate in (1, 2, 3):
        folder.change(1, replicate, output_match(reference="0" * 12))
    row = rows_of(folder.write().aggregate())[1]
    assert (row["output_match_identical"], row["output_match_reference_logprob"]) == ("", "")
    table = read_page(render(folder.read())).section("same-output").table()
    assert table[2][1] == "not compared: the record has no comparison with this reference"

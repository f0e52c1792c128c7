"""What the report and the summary say about uncertainty: budget, ratios, detectable differences, suspect runs."""

from __future__ import annotations

import math
import re
import statistics
from pathlib import Path
from typing import Any

import pytest
from results.made_up_run import ESTIMATED
from results.page_reader import read_page
from results.record_changes import doubt
from results.study_folder import MEASURED, StudyFolder, study_folder
from scipy import stats

from llenergymeasure.records.findings import FINDINGS
from llenergymeasure.results.report.page import render
from llenergymeasure.results.report.terminal_summary import five_lines

ENERGY = "energy_per_output_token_j"
OTHERS = "other programs kept 1.50 of 2 cores busy"


def tables(folder: StudyFolder) -> dict[str, list[list[str]]]:
    """Title of each table of the section → its rows."""
    section = read_page(render(folder.results())).section("precision")
    titles = [head.text for head in section.all("h3")]
    rows = [
        [[cell.text for cell in row.all("td")] for row in table.all("tr") if row.all("td")]
        for table in section.all("table")
    ]
    return dict(zip(titles, rows, strict=True))


def test_the_budget_holds_each_part_and_the_whole(tmp_path: Path) -> None:
    folder = study_folder(tmp_path / "study", source=MEASURED)
    rows = tables(folder)["Uncertainty budget of energy per output token"]
    summary = folder.read().summary.sort_values(f"{ENERGY}_mean")
    runs = folder.read().runs
    assert len(rows) == 4
    for row, (_, true) in zip(rows, summary.iterrows(), strict=True):
        edge, rate, baseline, temperature, gain, mean, expanded = (float(cell) for cell in row[2:])
        values = runs[runs["experiment_id"] == true["experiment_id"]][ENERGY]
        # The folder's records state 0.1 % at the edges; its gain is what the ledger states.
        assert edge == pytest.approx(0.1, rel=0.01)
        assert (rate, baseline, temperature) == (0, 0, 0)
        budget = folder.read().records[0].budget[1]
        figure = folder.read().records[0].energy_j
        assert gain == pytest.approx(100 * budget.standard_uncertainty / figure, rel=0.06)
        scatter = statistics.stdev(values) / math.sqrt(3) / statistics.mean(values)
        assert mean == pytest.approx(100 * scatter, rel=0.06)
        assert expanded == pytest.approx(100 * true[f"{ENERGY}_expanded95"] / true[f"{ENERGY}_mean"], rel=0.06)
        assert expanded >= 0.99 * 100 * scatter * stats.t.ppf(0.975, 2)


def test_ratios_are_those_of_the_summary(tmp_path: Path) -> None:
    folder = study_folder(tmp_path / "study", source=MEASURED)
    rows = tables(folder)["Compared with the reference"]
    summary = folder.read().summary
    reference = folder.read().plan.reference
    others = summary[summary["experiment_id"] != reference].sort_values(f"{ENERGY}_mean")
    assert len(rows) == 3
    for row, (_, true) in zip(rows, others.iterrows(), strict=True):
        shown = [float(text) for text in re.findall(r"[\d.]+", row[2])]
        wanted = [true[f"{ENERGY}_ratio{part}"] for part in ("", "_ci95_low", "_ci95_high")]
        assert shown == pytest.approx(wanted, rel=0.006)


def test_a_ratio_over_two_sources_is_unknown(tmp_path: Path) -> None:
    folder = study_folder(tmp_path / "study", source=MEASURED)
    for replicate in (1, 2, 3):
        folder.change(1, replicate, lambda record: record.update(energy_source=ESTIMATED))
    rows = tables(folder)["Compared with the reference"]
    assert sum(row[2] == "unknown" for row in rows) == 1
    assert all(row[3] != "unknown" for row in rows)


def test_a_reader_learns_which_difference_the_study_detects(tmp_path: Path) -> None:
    folder = study_folder(tmp_path / "study", source=MEASURED)
    text = read_page(render(folder.results())).section("precision").text
    pattern = r"detect a difference of ([\d.]+) % in energy per output token"
    changes = [float(change) for change in re.findall(pattern, text)]
    wanted = [int(count) for count in re.findall(r"would take (\d+) replicates", text)]
    assert len(changes) == len(wanted) == 2
    # Where the detected difference is above 2 %, detecting 2 % takes more than these three replicates.
    assert all((count > 3) == (change > 2) for change, count in zip(changes, wanted, strict=True))
    single = read_page(render(study_folder(tmp_path / "single", replicates=1).results())).section("precision").text
    assert "the study cannot establish any difference" in single
    assert "detect a difference" not in single


def test_a_reader_learns_what_scatters_more_and_whether_replicates_are_independent(tmp_path: Path) -> None:
    doubled = study_folder(tmp_path / "doubled", source=MEASURED, replicates=6)
    drifting = study_folder(tmp_path / "drifting", source=MEASURED, replicates=6)
    for replicate in range(1, 7):
        # The first doubles and halves in turn; of two in a process nobody can tell which one does.
        doubled.change(0, replicate, lambda record, turn=replicate % 2: multiply(record, (2.0, 0.5)[turn]))
        for place in range(4):
            drifting.change(place, replicate, lambda record, step=replicate: multiply(record, 1 + 0.1 * step))
    few = study_folder(tmp_path / "few", source=MEASURED)
    scatter, drift, too_few = (
        read_page(render(folder.results())).section("precision").text for folder in (doubled, drifting, few)
    )
    assert "scatters more than the pooled variance says in 2 of 4 configurations (attn_implementation=sdpa" in scatter
    assert "Replicates are not independent: energy per output token changes by" in drift
    assert "3 replicates are too few to see a trend (5 are needed)" in too_few


def test_without_measured_joules_speed_says_how_sure_comparisons_are(tmp_path: Path) -> None:
    """No word on the scatter of estimated joules."""
    folder = study_folder(tmp_path / "study", source=ESTIMATED, replicates=6)
    for replicate in range(1, 7):
        for place in range(4):
            folder.change(place, replicate, lambda record, step=replicate: slow_down(record, 1 + 0.1 * step))
    text = read_page(render(folder.results())).section("precision").text
    assert re.search(r"studies like this one detect a difference of [\d.]+ % in throughput", text)
    assert "Replicates are not independent: throughput changes by" in text
    assert "in energy per output token" not in text


def slow_down(record: dict[str, Any], factor: float) -> None:
    record["metrics"]["throughput_output_tokens_per_s"] /= factor


def multiply(record: dict[str, Any], factor: float) -> None:
    record["metrics"][ENERGY] *= factor


def test_the_summary_says_how_small_a_difference_the_study_detects(tmp_path: Path) -> None:
    folder = study_folder(tmp_path / "study", matrix={"pytorch.use_cache": [None, True]}, source=MEASURED)
    energy = five_lines(folder.results(), Path("report.html")).splitlines()[1]
    assert re.search(r"1 of 1 others may be the best as well \(.*\); the second, .*, has 1\.0\d times", energy)
    assert re.search(r"80 % of studies like this one detect a difference of [\d.]+ %", energy)
    assert re.search(r"chosen among 2, n = 3; ± [\d.]+ with the instrument's uncertainty\)", energy)


def test_suspect_runs_are_shown_with_their_reasons(tmp_path: Path) -> None:
    folder = study_folder(tmp_path / "study")
    for replicate in (1, 3):
        folder.change(2, replicate, doubt("foreign-cpu-load", OTHERS))
    page = read_page(render(folder.results()))
    by_code, by_configuration = page.section("suspect").tables()
    assert by_code[1:] == [["foreign-cpu-load", "2", "1", OTHERS, FINDINGS["foreign-cpu-load"].advice.replace("`", "")]]
    assert [row[1] for row in by_configuration[1:]] == ["foreign-cpu-load 2"]
    badges = page.section("ranking").all("a", class_="suspect")
    assert [badge.attributes["title"] for badge in badges] == ["foreign-cpu-load"]
    assert "1 suspect (foreign-cpu-load; see the report)" in five_lines(folder.read(), Path("report.html"))
    table = folder.read().summary.set_index("experiment_id")["validity"]
    assert table[folder.ids[2]] == "suspect"
    assert set(table.drop(folder.ids[2])) == {"valid"}


def test_a_study_without_doubts_has_no_such_section(tmp_path: Path) -> None:
    html = render(study_folder(tmp_path / "study").results())
    assert 'id="suspect"' not in html
    assert "SUSPECT" not in html

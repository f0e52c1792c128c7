"""Results folders of one study together: spreads, a consensus, and what may not be put together."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from results.page_reader import read_page
from results.record_changes import measured_by
from results.study_folder import MEASURED, StudyFolder, study_folder
from results.tables.test_instruments import MACHINES, RAPL
from results.tables.test_rerun_compared import ENERGY, SPEED, tabulate

from llenergymeasure.results.reading.errors import ResultsError
from llenergymeasure.results.report.together import few_lines, render
from llenergymeasure.results.statistics.interlaboratory import consensus, precision
from llenergymeasure.results.tables.together import Together, read_together

MATRIX = {"pytorch.batch_size": [1, 4]}


def folders(root: Path, *changes: Callable[[dict[str, Any]], None], replicates: int = 3) -> list[StudyFolder]:
    """One folder of the study per change, which every record gets."""
    made = []
    for number, change in enumerate(changes, start=1):
        folder = study_folder(root / str(number) / f"study-{number}", matrix=MATRIX, replicates=replicates)
        for place in range(2):
            for replicate in range(1, replicates + 1):
                folder.change(place, replicate, change)
        made.append(folder)
    return made


def together(made: list[StudyFolder]) -> Together:
    for folder in made:
        tabulate(folder.write())
    return read_together([folder.root for folder in made])


def times(factor: float) -> Callable[[dict[str, Any]], None]:
    def change(record: dict[str, Any]) -> None:
        for name in (ENERGY, SPEED):
            record["metrics"][name] *= factor

    return change


def test_one_row_per_experiment_and_metric_and_one_more_per_folder(tmp_path: Path) -> None:
    made = folders(tmp_path, times(1.0), times(1.02), times(0.97))
    found = together(made)
    runs = [pd.read_parquet(folder.root / "runs.parquet") for folder in made]
    for name in made[0].ids:
        cells = [list(table[table["experiment_id"] == name][SPEED]) for table in runs]
        (row,) = found.table[(found.table["experiment_id"] == name) & (found.table["metric"] == SPEED)].to_dict(
            "records"
        )
        assert (row["folders"], row["n"]) == (3, 9)
        figures, agreed = precision(cells), consensus(cells)
        assert row["mean"] == pytest.approx(np.mean(cells))
        assert row["reproducibility_sd"] == pytest.approx(figures.reproducibility)
        assert (row["consensus"], row["consensus_ci95_low"]) == pytest.approx((agreed.value, agreed.low))
        mine = found.folders[(found.folders["experiment_id"] == name) & (found.folders["metric"] == SPEED)]
        assert list(mine["folder"]) == ["study-1", "study-2", "study-3"]
        assert list(mine["mean"]) == pytest.approx([np.mean(cell) for cell in cells])
        assert (mine["h_straggler"] <= mine["h_outlier"]).all()
    assert found.differing == []


def test_joules_of_other_instruments_are_together_and_that_is_said(tmp_path: Path) -> None:
    made = folders(tmp_path, measured_by(RAPL, "package-0", MACHINES[0]), measured_by(RAPL, "package-0", MACHINES[1]))
    found = together(made)
    energy = found.table[found.table["metric"] == ENERGY]
    assert set(energy["instruments"]) == {2} and energy["reason"].isna().all()
    assert list(found.differing) == ["machines"]
    page = read_page(render(found))
    assert "how much their gains differ is a part of s_L and s_R" in page.text
    assert "Between the folders differ: another machine" in page.text


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (measured_by(MEASURED, "GPU-a", None), "joules from different sources: estimated:codecarbon, measured:nvml"),
        (lambda record: record["energy"][0].update(domain="gpu"), "joules of different parts: "),
    ],
)
def test_joules_of_other_kinds_are_not_put_together(
    tmp_path: Path, change: Callable[[dict[str, Any]], None], says: str
) -> None:
    found = together(folders(tmp_path, times(1.0), change))
    energy, speed = (found.table[found.table["metric"] == metric] for metric in (ENERGY, SPEED))
    assert energy["mean"].isna().all() and energy["reason"].str.startswith(says).all()
    assert speed["reason"].isna().all()
    assert says in few_lines(found, Path("together.html"))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda record: record["snapshot"].update(content_digest="2e" * 32), "other model files"),
        (lambda record: record["prompts"].update(digest="00" * 32), "other prompts"),
    ],
)
def test_other_weights_or_prompts_are_one_line(
    tmp_path: Path, change: Callable[[dict[str, Any]], None], says: str
) -> None:
    with pytest.raises(ResultsError) as caught:
        together(folders(tmp_path, times(1.0), change))
    assert says in str(caught.value)
    assert "in study-2 (folder 2) than in study-1 (folder 1)" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_page_and_the_lines_name_the_folder_that_is_unlike_the_others(tmp_path: Path) -> None:
    found = together(folders(tmp_path, *map(times, (1.0, 1.001, 0.999, 1.0005, 1.3))))
    lines = few_lines(found, Path("results/study/together/together.html"))
    assert "study-1 · 5 folders" in lines
    assert "batch_size=4" in lines and "5 (outlier)" in lines and "[ESTIMATED by codecarbon]" in lines
    heads, first = (
        next(line for line in lines.splitlines() if line.startswith(start))
        for start in ("configuration", "batch_size=1")
    )
    assert heads.index("unlike") == first.index("5 (outlier)")
    page = read_page(render(found))
    assert "5 (outlier)" in page.text and "4 degrees of freedom" in page.text
    assert "<script" not in render(found)


def test_a_name_from_outside_does_not_become_markup(tmp_path: Path) -> None:
    made = folders(tmp_path, times(1.0), lambda record: record["environment"].update(cpu="<b>CPU</b>\x1b[2J"))
    found = together(made)
    assert "<b>CPU" not in render(found)
    assert "\x1b" not in few_lines(found, Path("together.html"))


def test_one_figure_alone_has_no_spread(tmp_path: Path) -> None:
    found = together(
        folders(tmp_path, times(1.0), lambda record: record["metrics"].update({SPEED: None}), replicates=1)
    )
    speed = found.table[found.table["metric"] == SPEED]
    assert set(speed["reason"]) == {"1 folder with a figure"}
    ttft = found.table[found.table["metric"] == "ttft_s"]
    assert ttft["repeatability_sd"].isna().all() and ttft["reproducibility_sd"].notna().all()
    assert "unknown" in few_lines(found, Path("together.html"))

"""Which runs count, whether they were measured in blocks, and which gains do not cancel: from records to ratios."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from results.record_changes import doubt
from results.record_parts import ledger_entry
from results.study_folder import MEASURED, StudyFolder, study_folder

from llenergymeasure.results.report.headlines import describe_comparison
from llenergymeasure.results.report.page import render
from llenergymeasure.results.report.ranking import analyses_of_study, best
from llenergymeasure.results.report.study_reading import experiments_from_study
from llenergymeasure.results.statistics.analysis import analyse_metric
from llenergymeasure.results.statistics.counted import counted, measured_in_blocks
from llenergymeasure.results.statistics.gains import uncancelled

ENERGY = "energy_per_output_token_j"
WARM = "the board was warmer than in the calibration"


def test_suspect_runs_count_only_where_fewer_than_two_others_remain() -> None:
    runs = pd.DataFrame(
        [
            ("one", "ok", "suspect"),
            ("one", "ok", "valid"),
            ("one", "ok", "valid"),
            ("two", "ok", "suspect"),
            ("two", "ok", "valid"),
            ("two", "invalid", "invalid"),
            ("three", "ok", "suspect"),
        ],
        columns=["experiment_id", "status", "validity"],
    ).astype("string")
    assert counted(runs).tolist() == [False, True, True, True, True, False, True]
    assert counted(runs, with_suspects=True).tolist() == [True, True, True, True, True, False, True]


@pytest.mark.parametrize(
    ("begun", "blocks"),
    [
        ([1.0, 2.0, 3.0, 4.0], True),
        ([1.0, 3.0, 2.0, 4.0], False),  # a setup after the other
        ([1.0, None, 3.0, 4.0], True),
        ([1.0, 2.0, 2.0, 4.0], False),
        ([1.0, 2.0, None, None], False),  # a single block
    ],
)
def test_blocks_are_what_the_clock_says(begun: list[float | None], blocks: bool) -> None:
    runs = pd.DataFrame({"replicate": [1, 1, 2, 2], "begun_unix_s": pd.array(begun, dtype="Float64")})
    assert measured_in_blocks(runs) is blocks


def test_the_summary_rests_on_undisturbed_runs_and_the_page_says_what_all_give(tmp_path: Path) -> None:
    def disturbed(record: dict[str, Any]) -> None:
        record["metrics"][ENERGY] *= 1.3
        doubt("foreign-cpu-load", WARM)(record)

    folder = study_folder(tmp_path / "study", source=MEASURED)
    # The second would be the best by far.
    folder.change(1, 2, disturbed)
    study = folder.results()
    row = study.summary.set_index("experiment_id").loc[folder.ids[1]]
    values = study.runs[(study.runs["experiment_id"] == folder.ids[1]) & (study.runs["replicate"] != 2)][ENERGY]
    assert (row["replicates"], row["suspect_left_out"]) == (2, 1)
    assert row[f"{ENERGY}_mean"] == pytest.approx(values.mean())
    assert row[f"{ENERGY}_ratio"] < 0.95 * row[f"{ENERGY}_ratio_with_suspects"]
    winner = best(experiments_from_study(study), ENERGY, analyses_of_study(study))
    assert winner is not None and winner.with_suspects is not None
    assert "with the suspect runs" in describe_comparison(winner)
    assert "The figures here do without 1 suspect run, because" in render(study)


def two_devices(record: dict[str, Any], cpu_share: float) -> None:
    """The energy of the window, of which a CPU package takes a part."""
    whole = record["energy"][0]["energy_j"]
    window_s = record["energy"][0]["duration_s"]
    cpu = {**ledger_entry("generate", MEASURED, cpu_share * whole, window_s, 0.03), "device": "cpu-0", "domain": "cpu"}
    board = ledger_entry("generate", MEASURED, (1 - cpu_share) * whole, window_s, 0.03)
    record["energy"] = [board, cpu, *record["energy"][1:]]


def with_shares(tmp_path: Path, second: float) -> StudyFolder:
    folder = study_folder(tmp_path / "study", source=MEASURED)
    for place in range(4):
        for replicate in (1, 2, 3):
            share = second if place == 1 else 0.05
            folder.change(place, replicate, lambda record, share=share: two_devices(record, share))
    return folder


def test_a_ratio_contains_the_gains_of_shares_that_differ(tmp_path: Path) -> None:
    bounds = {}
    for name, second in (("equal", 0.05), ("other", 0.25)):
        study = with_shares(tmp_path / name, second).results()
        analysis = analyse_metric(study.runs, ENERGY, f"{MEASURED} over cpu", 0.95)
        first, other = (analysis.gains[experiment] for experiment in list(analysis.values)[:2])
        assert other == {
            "cpu-0 cpu": (second, pytest.approx(0.03 * 3**0.5)),
            "host cpu": (1 - second, pytest.approx(0.03 * 3**0.5)),
        }
        bounds[name] = uncancelled(first, other)
    assert bounds["equal"] == 0
    # 20 % of the energy, at a bound of √3 · 3 %; the larger end is a few per cent above the first order.
    assert bounds["other"] == pytest.approx(2 * 0.2 * 0.03 * 3**0.5, rel=0.08)

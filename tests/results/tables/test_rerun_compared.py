"""A rerun against what it repeats: ratios whose intervals hold, and none where two figures are of different kinds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from results.page_reader import read_page
from results.record_changes import fail, measured_by, without_energy
from results.study_folder import MEASURED, StudyFolder, study_folder
from results.tables.test_instruments import MACHINES, RAPL

from llenergymeasure.records.metrics import CONTRACT_METRICS, METRICS
from llenergymeasure.records.study.equivalence import Equivalence
from llenergymeasure.results.reading.errors import ResultsError
from llenergymeasure.results.reading.read import Expected, Lines, read_loads, read_plan, read_study
from llenergymeasure.results.report.page import render
from llenergymeasure.results.report.terminal_summary import five_lines
from llenergymeasure.results.statistics.analysis import analyse_metric
from llenergymeasure.results.statistics.equivalence import log_ratio
from llenergymeasure.results.tables.aggregate import write_tables
from llenergymeasure.results.tables.rerun_comparison import write_comparison
from llenergymeasure.results.tables.runs import run_row, runs_table

ENERGY = "energy_per_output_token_j"
SPEED = "throughput_output_tokens_per_s"


class Pair:
    """Two folders of one study; what is asked of `new` is done before they are compared."""

    def __init__(self, root: Path, **settings: Any) -> None:
        self.old = study_folder(root / "old" / "study", **settings)
        self.new = study_folder(root / "new" / "study", **settings)

    def faster(self, factor: float) -> Pair:
        """Every new run takes `factor` of the time and of the energy."""
        for place in range(len(self.new.ids)):
            for replicate in range(1, self.new.plan.replicates + 1):
                self.new.change(place, replicate, lambda record: scale(record, factor))
        return self

    def all_new(self, change: Callable[[dict[str, Any]], None]) -> Pair:
        for place in range(len(self.new.ids)):
            for replicate in range(1, self.new.plan.replicates + 1):
                self.new.change(place, replicate, change)
        return self

    def compared(self, **within: float) -> pd.DataFrame:
        for folder in (self.old, self.new):
            tabulate(folder.write())
        csv = self.new.root / "comparison.csv"
        write_comparison(self.old.root, self.new.root, csv, Equivalence(**within))
        return pd.read_csv(csv)


def tabulate(folder: StudyFolder) -> None:
    """The tables that are compared, without the latencies, which take the longest."""
    plan = read_plan(folder.root / "plan.json", folder.measurements(), [])
    runs = runs_table(plan, map(run_row, Lines(Expected.of(plan), folder.measurements())))
    write_tables(
        plan,
        runs,
        read_loads(plan, folder.setups()),
        csv=folder.root / "summary.csv",
        parquet=folder.root / "summary.parquet",
        runs=folder.root / "runs.parquet",
    )


def scale(record: dict[str, Any], factor: float) -> None:
    for name in record["metrics"]:
        if METRICS[name].energy and record["metrics"][name] is not None:
            record["metrics"][name] *= factor
    record["metrics"][SPEED] /= factor


def rows_of(table: pd.DataFrame, metric: str) -> pd.DataFrame:
    return table[table["metric"] == metric].reset_index(drop=True)


def test_one_row_per_experiment_and_metric_with_the_figures_of_both(tmp_path: Path) -> None:
    pair = Pair(tmp_path).faster(0.8)
    table = pair.compared()
    assert list(dict.fromkeys(table["experiment_id"])) == pair.new.ids
    assert list(table["metric"][: len(CONTRACT_METRICS)]) == list(CONTRACT_METRICS)
    assert set(table["rerun_of"]) == {"study"}
    summaries = {side: pd.read_csv(folder.root / "summary.csv") for side, folder in vars(pair).items()}
    for metric in CONTRACT_METRICS:
        rows = rows_of(table, metric)
        for side, summary in summaries.items():
            for part in ("mean", "ci95_low", "ci95_high", "n"):
                expected = summary[f"{metric}_{part}"]
                assert list(rows[f"{side}_{part}"]) == pytest.approx(list(expected), nan_ok=True)
    # The same figures but for the factor: the ratio is exactly that.
    assert list(rows_of(table, ENERGY)["ratio"]) == pytest.approx([0.8] * 4)
    assert list(rows_of(table, SPEED)["ratio"]) == pytest.approx([1.25] * 4)
    assert set(rows_of(table, ENERGY)["verdict"]) == {"different"}
    assert "different" not in set(rows_of(table, "ttft_s")["verdict"])
    assert (set(table["margin"]), set(table["day_sd"])) == ({0.02}, {0.005})
    assert table["output_identical"].all()
    assert table["differs"].isna().all()


def test_the_verdict_is_that_of_the_intervals_in_its_row(tmp_path: Path) -> None:
    pair = Pair(tmp_path, matrix={"pytorch.batch_size": [1, 2, 3, 4, 5, 6]}).faster(1.001)
    rows = rows_of(pair.compared(margin=0.05, day_sd=0.01), SPEED)
    assert set(rows["verdict"]) == {"same"}
    runs = [pd.read_parquet(folder.root / "runs.parquet") for folder in vars(pair).values()]
    sides = [analyse_metric(table, SPEED, None, 0.95) for table in runs]
    for row in rows.to_dict("records"):
        ratio = log_ratio(*sides, row["experiment_id"], 0.01)
        assert ratio is not None and (ratio.old, ratio.new) == (row["old_compared"], row["new_compared"]) == (3, 3)
        # The one holds for all six experiments at once, the other for two one-sided tests of this one.
        for level, name in ((0.95 ** (1 / 6), "ratio_ci95"), (0.90, "ratio_ci90")):
            interval = ratio.interval(level)
            assert (row[f"{name}_low"], row[f"{name}_high"]) == pytest.approx((interval.low, interval.high))
        assert 1 / 1.05 < row["ratio_ci90_low"] < row["ratio_ci90_high"] < 1.05


def test_a_margin_that_days_alone_exceed_is_never_found_to_hold(tmp_path: Path) -> None:
    assert set(rows_of(Pair(tmp_path).compared(margin=0.005), SPEED)["verdict"]) == {"not known"}


def test_one_replicate_gives_a_ratio_without_interval(tmp_path: Path) -> None:
    table = Pair(tmp_path, replicates=1).faster(0.5).compared()
    rows = rows_of(table, ENERGY)
    assert list(rows["ratio"]) == pytest.approx([0.5] * 4)
    assert rows["ratio_ci95_low"].isna().all()
    assert set(rows["verdict"]) == {"not known"}


@pytest.mark.parametrize(
    ("change", "name", "energy_says", "speed_has_ratio"),
    [
        (lambda record: record["environment"].update(cpu="Another CPU"), "devices", "other instruments", True),
        (lambda record: record["environment"].update(fingerprint="new"), "environment", None, True),
        (lambda record: record["environment"].update(git_commit="cd" * 20), "pipeline", None, True),
        (lambda record: record["snapshot"].update(content_digest="2e" * 32), "models", "model's files", False),
        (lambda record: record["prompts"].update(digest="00" * 32), "prompts", "prompts differ", False),
    ],
)
def test_what_differs_is_named_and_decides_what_may_be_compared(
    tmp_path: Path,
    change: Callable[[dict[str, Any]], None],
    name: str,
    energy_says: str | None,
    speed_has_ratio: bool,
) -> None:
    pair = Pair(tmp_path)
    for place in range(4):
        for replicate in (1, 2, 3):
            pair.old.change(place, replicate, lambda record: record["environment"].update(fingerprint="old"))
            if name != "environment":
                pair.new.change(place, replicate, lambda record: record["environment"].update(fingerprint="old"))
    table = pair.all_new(change).compared()
    assert set(table["differs"]) == {name}
    energy, speed = rows_of(table, ENERGY), rows_of(table, SPEED)
    assert speed["ratio"].notna().all() == speed_has_ratio
    if energy_says is None:
        assert energy["ratio"].notna().all()
    else:
        assert energy["ratio"].isna().all()
        assert energy["reason"].str.contains(energy_says).all()
        assert set(energy["verdict"]) == {"not known"}


def test_boards_of_one_machine_are_not_different_devices(tmp_path: Path) -> None:
    def on(*uuids: str) -> Callable[[dict[str, Any]], None]:
        devices = [
            {"index": index, "name": "A board", "uuid": uuid, "memory_bytes": 1, "compute_capability": "9.0"}
            for index, uuid in enumerate(uuids)
        ]
        return lambda record: record.update(devices={"kind": "cuda", "devices": devices})

    pair = Pair(tmp_path)
    for place in range(4):
        for replicate, uuid in ((1, "one"), (2, "two"), (3, "one")):
            pair.old.change(place, replicate, on(uuid))
            pair.new.change(place, replicate, on("one"))
    assert pair.compared()["differs"].isna().all()
    pair.all_new(on("three"))
    assert set(pair.compared()["differs"]) == {"devices"}


@pytest.mark.parametrize(
    ("machine", "says"), [(MACHINES[1], "joules of other instruments"), (None, "the machine has no id of its own")]
)
def test_joules_of_the_same_package_of_another_machine_are_not_compared(
    tmp_path: Path, machine: str | None, says: str
) -> None:
    pair = Pair(tmp_path, matrix={"pytorch.batch_size": [1]})
    for replicate in (1, 2, 3):
        pair.old.change(0, replicate, measured_by(RAPL, "package-0", MACHINES[0]))
        pair.new.change(0, replicate, measured_by(RAPL, "package-0", machine))
    table = pair.compared()
    (row,) = rows_of(table, ENERGY).to_dict("records")
    assert pd.isna(row["ratio"]) and says in row["reason"]
    assert rows_of(table, SPEED)["ratio"].notna().all()
    assert ("machines" in str(row["differs"])) == (machine is not None)


def test_the_gains_of_boards_cancel_however_often_each_was_drawn(tmp_path: Path) -> None:
    def on(board: str, gain: float) -> Callable[[dict[str, Any]], None]:
        def change(record: dict[str, Any]) -> None:
            measured_by(MEASURED, board, None)(record)
            scale(record, gain)

        return change

    gains = {"GPU-a": 1.04, "GPU-b": 0.97, "GPU-c": 1.01, "GPU-d": 0.9}
    pair = Pair(tmp_path, matrix={"pytorch.batch_size": [1]}, replicates=4)
    for side, boards in ((pair.old, "abbc"), (pair.new, "aabd")):
        for replicate, letter in enumerate(boards, start=1):
            side.change(0, replicate, lambda record: record["metrics"].update({ENERGY: 2.0}))
            side.change(0, replicate, on(f"GPU-{letter}", gains[f"GPU-{letter}"]))
    (row,) = rows_of(pair.compared(), ENERGY).to_dict("records")
    # Board c was not used again, and board d not before.
    assert (row["old_compared"], row["new_compared"]) == (3, 3)
    assert row["ratio"] == pytest.approx(1.0, abs=1e-12)
    assert row["new_mean"] / row["old_mean"] != pytest.approx(1.0, abs=0.005)


def test_joules_of_two_sources_are_never_divided(tmp_path: Path) -> None:
    pair = Pair(tmp_path)
    pair.new.source = MEASURED
    table = pair.compared()
    rows = rows_of(table, ENERGY)
    assert rows["ratio"].isna().all()
    assert rows["reason"].str.contains("estimated:codecarbon, then measured:nvml-total-energy").all()
    assert set(rows["new_energy_source"]) == {MEASURED}
    assert rows_of(table, SPEED)["ratio"].notna().all()


def test_what_has_no_figure_says_why(tmp_path: Path) -> None:
    pair = Pair(tmp_path)
    for replicate in (1, 2, 3):
        pair.new.change(0, replicate, fail("load", "OutOfMemoryError", "12 GiB asked for"))
        pair.old.change(1, replicate, without_energy("no meter works here"))
        pair.new.change(2, replicate, lambda record: record.update(output_digest="ff" * 32))
    table = pair.compared()
    energy = rows_of(table, ENERGY)
    assert "new: no figure (load: OutOfMemoryError: 12 GiB asked for)" in energy["reason"][0]
    assert energy["reason"][1].startswith("old: no figure")
    assert energy["ratio"][:2].isna().all()
    assert energy["ratio"][2:].notna().all()
    assert energy["output_identical"].isna()[0]
    assert list(energy["output_identical"][1:].astype(str)) == ["True", "False", "True"]


def test_an_experiment_that_was_not_there_then(tmp_path: Path) -> None:
    pair = Pair(tmp_path)
    pair.old = study_folder(tmp_path / "less" / "study", matrix={"pytorch.attn_implementation": ["sdpa", "eager"]})
    pair.new = study_folder(
        tmp_path / "more" / "study", matrix={"pytorch.attn_implementation": ["sdpa", "eager"], "n_prompts": [100, 7]}
    )
    rows = rows_of(pair.compared(), ENERGY)
    assert [isinstance(reason, str) for reason in rows["reason"]] == [False, True, False, True]
    assert rows["reason"][1] == "old: not measured"


def test_tables_of_another_version_are_one_line(tmp_path: Path) -> None:
    pair = Pair(tmp_path)
    pair.compared()
    path = pair.old.root / "summary.parquet"
    pd.read_parquet(path).drop(columns=["ttft_s_mean"]).to_parquet(path)
    with pytest.raises(ResultsError, match=r"summary\.parquet lacks column ttft_s_mean"):
        write_comparison(pair.old.root, pair.new.root, tmp_path / "c.csv", Equivalence())


def read(folder: StudyFolder) -> Any:
    root = folder.root
    return read_study(
        root / "plan.json",
        root / "summary.parquet",
        root / "runs.parquet",
        root / "costs.csv",
        root / "latencies.csv",
        folder.measurements(),
        folder.setups(),
        comparison=[root / "comparison.csv"],
    )


def test_the_report_and_the_summary_say_how_it_compares(tmp_path: Path) -> None:
    pair = Pair(tmp_path, source=MEASURED).faster(0.8)
    pair.all_new(lambda record: record["environment"].update(git_commit="cd" * 20))
    pair.new.change(0, 1, lambda record: record.update(output_digest="ff" * 32))
    pair.compared()
    pair.new.aggregate()
    study = read(pair.new)
    lines = five_lines(study, pair.new.root / "report.html").splitlines()
    assert len(lines) == 6
    (line,) = (line for line in lines if line.startswith("rerun of:"))
    assert "study · 3 of 4 generated the same tokens" in line
    assert "energy per output token 0.8 to 0.8 times the old figures: 4 different;" in line
    assert "same means within 2.0 %, where days differ by a standard deviation of 0.50 %" in line
    assert "another commit of the pipeline" in line
    page = read_page(render(study))
    text = page.section("rerun").text
    assert "This study repeats study" in text
    assert "another commit of the pipeline" in text
    assert text.count("identical") == 3
    assert "1.25 (" in text and "), different" in text
    assert "within a margin of 2.0 %" in text
    assert "in the same order, so what depends on the order repeats itself" in text


def test_a_study_that_is_not_a_rerun_does_not_mention_one(tmp_path: Path) -> None:
    study = study_folder(tmp_path / "study").results()
    assert 'id="rerun"' not in render(study)
    assert len(five_lines(study, tmp_path / "report.html").splitlines()) == 5

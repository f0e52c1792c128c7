"""summary and runs against figures worked out from the raw lines."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from results.made_up_run import ESTIMATED
from results.record_changes import doubt, fail, ignore, warn
from results.record_parts import prompts
from results.study_folder import MEASURED, StudyFolder, study_folder

from llenergymeasure.results.reading.errors import ResultsError

HEAD = ["experiment_id", "setup_id", "status", "failure_reason", "replicates", "suspect_left_out"]
HEAD += ["validity", "validity_codes", "model", "revision", "precision"]
METRICS = [
    "throughput_output_tokens_per_s",
    "energy_per_output_token_j",
    "energy_per_request_j",
    "prefill_energy_j",
    "decode_energy_j",
    "ttft_s",
    "tpot_s",
    "e2e_latency_s",
    "peak_memory_bytes",
    "average_power_w",
]
ENERGY = [name for name in METRICS if "energy" in name] + ["average_power_w"]
# Student's t for 95 %, two-sided, by degrees of freedom, from a printed table.
T_975 = {1: 12.706205, 2: 4.302653}


def rows_of(folder: StudyFolder) -> list[dict[str, str]]:
    with (folder.root / "summary.csv").open(newline="", encoding="utf-8") as lines:
        return list(csv.DictReader(lines))


def lines_of(folder: StudyFolder, name: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for path in folder.measurements() for line in path.read_text("utf-8").splitlines()]
    return [line for line in lines if line["experiment_id"] == name]


def test_columns_of_the_contract_are_first_and_in_order(tmp_path: Path) -> None:
    folder = study_folder(tmp_path / "study").write().aggregate()
    figures = [f"{metric}_{part}" for metric in METRICS for part in ("mean", "ci95_low", "ci95_high")]
    axes = ["pytorch.attn_implementation", "pytorch.batch_size"]
    expected = [*HEAD, *axes, *figures, "energy_source", "evidence_ok", "output_digest"]
    rows = rows_of(folder)
    assert list(rows[0])[: len(expected)] == expected
    assert [row["experiment_id"] for row in rows] == folder.ids
    assert [(row[axes[0]], row[axes[1]]) for row in rows] == [
        ("sdpa", "1"),
        ("sdpa", "4"),
        ("eager", "1"),
        ("eager", "4"),
    ]
    assert list(pd.read_parquet(folder.root / "summary.parquet").columns) == list(rows[0])


def test_means_and_intervals_follow_from_the_lines(tmp_path: Path) -> None:
    folder = study_folder(tmp_path / "study", source=MEASURED).write().aggregate()
    for row in rows_of(folder):
        lines = lines_of(folder, row["experiment_id"])
        assert row["replicates"] == "3"
        for metric in METRICS:
            values = [line["metrics"][metric] for line in lines]
            mean = sum(values) / 3
            half = T_975[2] * math.sqrt(sum((value - mean) ** 2 for value in values) / 2) / math.sqrt(3)
            assert float(row[f"{metric}_mean"]) == pytest.approx(mean, rel=1e-12)
            assert float(row[f"{metric}_ci95_low"]) == pytest.approx(mean - half, rel=1e-6)
            assert float(row[f"{metric}_ci95_high"]) == pytest.approx(mean + half, rel=1e-6)
            assert row[f"{metric}_n"] == "3"
        assert row["energy_source"] == MEASURED
        assert row["evidence_ok"] == "True"
        assert row["output_digest"] == lines[0]["output_digest"]


def test_the_csv_holds_every_digit(tmp_path: Path) -> None:
    folder = study_folder(tmp_path / "study").write().aggregate()
    table = pd.read_parquet(folder.root / "summary.parquet")
    for column in table.columns:
        if column.endswith(("_mean", "_ci95_low", "_ci95_high")):
            written = [float(row[column]) if row[column] else None for row in rows_of(folder)]
            assert written == [None if pd.isna(value) else value for value in table[column]]


def test_one_replicate_has_a_mean_and_blank_interval(tmp_path: Path) -> None:
    folder = study_folder(tmp_path / "study", replicates=1).write().aggregate()
    for row in rows_of(folder):
        assert float(row["tpot_s_mean"]) > 0
        assert row["tpot_s_ci95_low"] == row["tpot_s_ci95_high"] == ""


def test_a_failed_experiment_has_a_row_with_its_reason_and_no_figures(tmp_path: Path) -> None:
    folder = study_folder(tmp_path / "study")
    for replicate in (1, 2, 3):
        folder.change(2, replicate, fail("load", "ImportError", "flash_attn, the package, is not installed"))
    row = rows_of(folder.write().aggregate())[2]
    assert (row["status"], row["replicates"]) == ("failed", "0")
    assert row["failure_reason"] == "load: ImportError: flash_attn, the package, is not installed"
    assert {row[f"{metric}_mean"] for metric in METRICS} == {""}
    assert row["energy_source"] == row["output_digest"] == row["evidence_ok"] == ""
    assert row["pytorch.attn_implementation"] == "eager"


def test_a_partly_failed_experiment_says_so_and_averages_the_rest(tmp_path: Path) -> None:
    folder = study_folder(tmp_path / "study")
    folder.change(1, 2, fail("measure", "WorkerLost", "killed by signal 9"))
    row = rows_of(folder.write().aggregate())[1]
    assert (row["status"], row["replicates"]) == ("partial", "2")
    assert row["failure_reason"] == "1 of 3 replicates failed: measure: WorkerLost: killed by signal 9"
    values = [line["metrics"]["ttft_s"] for line in lines_of(folder, folder.ids[1]) if line["status"] == "ok"]
    half = T_975[1] * abs(values[0] - values[1]) / 2
    assert float(row["ttft_s_ci95_high"]) == pytest.approx(sum(values) / 2 + half, rel=1e-6)


def test_one_invalid_replicate_makes_the_experiment_invalid(tmp_path: Path) -> None:
    folder = study_folder(tmp_path / "study")
    folder.change(0, 3, ignore("pytorch.batch_size", "4 batches of 2 rows"))
    folder.change(0, 1, fail("measure", "WorkerLost", "killed"))
    row = rows_of(folder.write().aggregate())[0]
    assert (row["status"], row["replicates"], row["evidence_ok"]) == ("invalid", "1", "")
    assert "pytorch.batch_size = 1 did not take effect (4 batches of 2 rows)" in row["failure_reason"]
    # Figures of the replicate in which something else ran are not in the mean.
    (valid,) = (line for line in lines_of(folder, folder.ids[0]) if line["status"] == "ok")
    assert float(row["tpot_s_mean"]) == valid["metrics"]["tpot_s"]


def test_energy_of_different_sources_is_never_averaged(tmp_path: Path) -> None:
    folder = study_folder(tmp_path / "study", source=MEASURED)
    folder.change(0, 2, lambda record: record.update(energy_source=ESTIMATED))
    mixed, pure = rows_of(folder.write().aggregate())[:2]
    assert {mixed[f"{metric}_mean"] for metric in ENERGY} == {""}
    assert mixed["net_energy_per_output_token_j_mean"] == mixed["energy_source"] == ""
    assert ESTIMATED in mixed["notes"]
    assert MEASURED in mixed["notes"]
    assert (mixed["status"], mixed["ttft_s_n"]) == ("ok", "3")
    assert float(pure["energy_per_output_token_j_mean"]) > 0


def test_unknown_figures_are_blank_and_their_number_is_shown(tmp_path: Path) -> None:
    folder = study_folder(tmp_path / "study")
    folder.change(0, 1, lambda record: record["metrics"].update(tpot_s=None, ttft_s=None))
    for replicate in (1, 2, 3):
        folder.change(1, replicate, lambda record: record["metrics"].update(decode_energy_j=None))
    first, second = rows_of(folder.write().aggregate())[:2]
    assert (first["tpot_s_n"], first["ttft_s_n"], first["e2e_latency_s_n"]) == ("2", "2", "3")
    assert "tpot_s from 2" in first["notes"]
    assert (second["decode_energy_j_mean"], second["decode_energy_j_n"]) == ("", "0")


def test_outputs_that_differ_between_replicates_are_named(tmp_path: Path) -> None:
    folder = study_folder(tmp_path / "study")
    folder.change(3, 2, lambda record: record.update(output_digest="00" * 32))
    assert [row["output_digest"] == "differs" for row in rows_of(folder.write().aggregate())] == [False] * 3 + [True]


def test_matrix_values_keep_their_kind_beside_a_gap(tmp_path: Path) -> None:
    matrix = {"pytorch.batch_size": [None, 2], "decoder": [{"temperature": 0.5}, {"do_sample": False}]}
    folder = study_folder(tmp_path / "study", matrix=matrix).write().aggregate()
    rows = rows_of(folder)
    # 2 and not 2.0, although the column has a gap; a mapping is JSON.
    assert [row["pytorch.batch_size"] for row in rows] == ["", "", "2", "2"]
    assert json.loads(rows[1]["decoder"]) == {"do_sample": False}
    table = pd.read_parquet(folder.root / "summary.parquet")
    assert str(table["pytorch.batch_size"].dtype) == "Int64"


def test_a_matrix_over_words_and_numbers_fits_into_parquet(tmp_path: Path) -> None:
    folder = study_folder(tmp_path / "study", matrix={"pytorch.batch_size": [1, 2]}).write()
    plan = json.loads((folder.root / "plan.json").read_text())
    plan["experiments"][folder.ids[0]]["axes"]["pytorch.batch_size"] = "never"
    (folder.root / "plan.json").write_text(json.dumps(plan))
    folder.aggregate()
    assert pd.read_parquet(folder.root / "summary.parquet")["pytorch.batch_size"].tolist() == ["never", "2"]


def test_a_matrix_over_models_or_precisions_adds_no_second_column(tmp_path: Path) -> None:
    folder = study_folder(tmp_path / "study", matrix={"precision": ["fp32", "bf16"]}).write().aggregate()
    rows = rows_of(folder)
    assert [row["precision"] for row in rows] == ["fp32", "bf16"]
    assert list(rows[0]).count("precision") == 1


def test_runs_have_one_row_per_experiment_and_replicate(tmp_path: Path) -> None:
    folder = study_folder(tmp_path / "study")
    folder.change(0, 1, fail("warmup", "OutOfMemoryError", "out of memory"))
    folder.change(1, 2, warn("window-not-stable", "passes vary"))
    folder.write().aggregate()
    runs = pd.read_parquet(folder.root / "runs.parquet")
    assert list(zip(runs["experiment_id"], runs["replicate"], strict=True)) == [
        (name, replicate) for name in folder.ids for replicate in (1, 2, 3)
    ]
    first = runs.iloc[0]
    assert (first["status"], first["failure_stage"], first["failure_class"]) == ("failed", "warmup", "OutOfMemoryError")
    assert pd.isna(first["ttft_s"])
    assert runs["warnings"].tolist() == [0] * 4 + [1] + [0] * 7
    assert runs["ttft_s"].iloc[1] == lines_of(folder, folder.ids[0])[1]["metrics"]["ttft_s"]


def test_the_cost_of_the_load_is_in_the_row(tmp_path: Path) -> None:
    folder = study_folder(tmp_path / "study").write()
    path = folder.setups()[0]
    record = json.loads(path.read_text())
    record["compile"] = {"compile_s": 28.0, "counts": {}}
    record["energy"].append({**record["energy"][0], "phase": "compile", "energy_j": 700.0})
    path.write_text(json.dumps(record))
    first, *_, last = rows_of(folder.aggregate())
    assert (float(first["load_s"]), float(first["compile_s"]), float(first["compile_energy_j"])) == (1.9, 28.0, 700.0)
    assert float(first["load_energy_j"]) == pytest.approx(27.0 * 1.9)
    assert (last["load_s"], last["compile_s"], last["compile_energy_j"]) == ("1.9", "", "")


@pytest.mark.parametrize(
    ("changed", "what"),
    [
        (
            {"prompts": {**prompts(), "digest": "ab" * 32}},
            r"other prompts than replicate 1 \(abababababab, there 9f",
        ),
        (
            {"weights": {"model": "cd" * 32}},
            r"other files of the model than replicate 1 \(cdcdcdcdcdcd, there 1d1d1d1d1d1d\)",
        ),
    ],
)
def test_replicates_with_different_prompts_or_weights_have_no_mean(
    tmp_path: Path, changed: dict[str, Any], what: str
) -> None:
    folder = study_folder(tmp_path / "study").write()
    path = folder.measurements()[-1]
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    path.write_text("".join(json.dumps({**line, **changed}) + "\n" for line in lines), encoding="utf-8")
    with pytest.raises(ResultsError, match=what) as error:
        folder.aggregate()
    assert str(path.parent.parent) in str(error.value)


def test_the_summary_has_the_codes_of_all_replicates_verdicts_once(tmp_path: Path) -> None:
    folder = study_folder(tmp_path / "study")
    folder.change(0, 1, doubt("throttled", "held down for 3 %"))
    folder.change(0, 2, doubt("throttled", "held down for 4 %"))
    folder.change(0, 2, doubt("clock-fell", "the clock fell by 6 %"))
    rows = rows_of(folder.write().aggregate())
    assert [(row["validity"], row["validity_codes"]) for row in rows[:2]] == [
        ("suspect", "throttled;clock-fell"),
        ("valid", ""),
    ]

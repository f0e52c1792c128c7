"""Latency distributions against quantiles of the raw requests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from results.record_changes import fail, ignore
from results.study_folder import StudyFolder, study_folder

from llenergymeasure.records.metrics import REQUEST_LATENCIES


def raw(folder: StudyFolder, name: str, metric: str, replicates: set[int]) -> list[float]:
    rows = [
        row
        for path in folder.measurements()
        for row in pq.read_table(path.with_name("requests.parquet")).to_pylist()
        if row["experiment_id"] == name and row["replicate"] in replicates
    ]
    return [value for row in rows for value in (row[metric] if metric == "itl_s" else [row[metric]])]


def test_quantiles_are_over_all_requests_and_all_intervals(tmp_path: Path) -> None:
    folder = study_folder(tmp_path / "study")
    latencies = folder.results().latencies
    for name in folder.ids:
        for metric, count in (("ttft_s", 24), ("itl_s", 24 * 15), ("e2e_latency_s", 24)):
            values = raw(folder, name, metric, {1, 2, 3})
            mine = latencies[name][metric]
            assert mine.n == len(values) == count
            expected = np.percentile(values, [5, 25, 50, 75, 95, 99])
            assert [mine.p5, mine.p25, mine.p50, mine.p75, mine.p95, mine.p99] == pytest.approx(list(expected))
            assert mine.largest == max(values)


def test_requests_of_invalid_and_failed_runs_do_not_count(tmp_path: Path) -> None:
    folder = study_folder(tmp_path / "study")
    folder.change(0, 2, ignore("pytorch.batch_size", "other rows"))
    folder.change(1, 1, fail("measure", "WorkerLost", "killed"))
    for replicate in (1, 2, 3):
        folder.change(2, replicate, ignore("pytorch.batch_size", "other rows"))
    latencies = folder.results().latencies
    values = raw(folder, folder.ids[0], "ttft_s", {1, 3})
    assert (latencies[folder.ids[0]]["ttft_s"].n, latencies[folder.ids[0]]["ttft_s"].p50) == (16, np.median(values))
    assert latencies[folder.ids[1]]["ttft_s"].n == 16
    assert folder.ids[2] not in latencies


def test_single_tokens_have_no_interval_between_two(tmp_path: Path) -> None:
    folder = study_folder(tmp_path / "study")
    folder.tokens_per_request = 1
    for experiment in range(4):
        for replicate in (1, 2, 3):
            folder.change(experiment, replicate, lambda record: record["metrics"].update(tpot_s=None))
    latencies = folder.write().aggregate().read().latencies
    assert set(latencies[folder.ids[0]]) == {*REQUEST_LATENCIES} - {"itl_s"}

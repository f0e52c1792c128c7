"""Latency distributions against quantiles of the raw requests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from results.page_reader import read_page
from results.record_changes import doubt, fail, ignore
from results.study_folder import StudyFolder, study_folder

from llenergymeasure.records.metrics import REQUEST_LATENCIES
from llenergymeasure.records.storage.files import REQUESTS
from llenergymeasure.results.report.page import render


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


def test_requests_of_suspect_runs_count_only_where_the_run_does(tmp_path: Path) -> None:
    folder = study_folder(tmp_path / "study")
    for place, replicates in ((0, (2,)), (1, (2, 3))):
        for replicate in replicates:
            folder.change(place, replicate, doubt("foreign-cpu-load", "others"))
    results = folder.results()
    counts = [results.latencies[name]["ttft_s"].n for name in folder.ids[:2]]
    assert counts == [8 * int(replicates) for replicates in results.summary["replicates"][:2]] == [16, 24]
    assert results.latencies[folder.ids[0]]["ttft_s"].p50 == np.median(raw(folder, folder.ids[0], "ttft_s", {1, 3}))


def test_single_tokens_have_no_interval_between_two(tmp_path: Path) -> None:
    folder = study_folder(tmp_path / "study")
    folder.tokens_per_request = 1
    for experiment in range(4):
        for replicate in (1, 2, 3):
            folder.change(experiment, replicate, lambda record: record["metrics"].update(tpot_s=None))
    latencies = folder.write().aggregate().read().latencies
    assert set(latencies[folder.ids[0]]) == {*REQUEST_LATENCIES} - {"itl_s"}


def test_equal_prompts_and_prompts_of_one_batch_are_one(tmp_path: Path) -> None:
    """Four prompts in two passes of three replicates; where a batch holds all four, nothing is independent of it."""
    folder = study_folder(tmp_path / "study")
    latencies = folder.results().latencies
    batches = {name: folder.plan.experiments[name].config["pytorch"]["batch_size"] for name in folder.ids}
    counted = {batches[name]: latencies[name]["itl_s"].prompts for name in folder.ids}
    assert counted == {1: 4, 4: 1}
    (reason,) = {latencies[name]["itl_s"].prompts_ci95_reason for name in folder.ids if batches[name] == 4}
    assert reason == "1 independent prompts: p50 needs 10, p95 needs 100, p99 needs 500"


def test_enough_prompts_give_an_interval_over_them(tmp_path: Path) -> None:
    """In the file and on the page, beside the one over processes."""
    folder = study_folder(tmp_path / "study", matrix={"pytorch.batch_size": [1]})
    folder.write()
    draw = np.random.default_rng(8)
    of_prompt = draw.lognormal(-3, 0.3, 24)
    for path in folder.measurements():
        rows = pq.read_table(path.with_name("requests.parquet")).to_pylist()
        made = [
            {**rows[0], "batch_index": place, "request_index": place, "prompt_digest": str(place), "ttft_s": seconds}
            for place, seconds in enumerate(of_prompt * draw.lognormal(0, 0.01))
        ]
        pq.write_table(pa.Table.from_pylist(made, schema=REQUESTS), path.with_name("requests.parquet"))
    results = folder.aggregate().read()
    distribution = results.latencies[folder.ids[0]]["ttft_s"]
    median = distribution.quoted("p50")
    assert (median.n, median.prompts) == (72, 24)
    assert median.prompts_low is not None and median.prompts_high is not None
    assert median.low is not None and median.high is not None
    assert median.prompts_low < median.low < median.value < median.high < median.prompts_high
    assert distribution.p95_prompts_ci95_low is None
    assert distribution.prompts_ci95_reason == "24 independent prompts: p95 needs 100, p99 needs 500"
    table = read_page(render(results)).section("latencies").all("table")[-1]
    texts = [cell.text for row in table.all("tr") for cell in row.all("td")]
    assert any("prompts" in text and " to " in text for text in texts)

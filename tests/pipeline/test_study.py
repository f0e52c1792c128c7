"""A study from matrix to report, and what a second call does. Real Snakemake, a random tiny model."""

from __future__ import annotations

import csv
import json

import pandas as pd
import pyarrow.parquet as pq
import pytest
from harness import ROOT, Pipeline, study
from pipeline.metric_formulas import evaluate, raw_quantities

from llenergymeasure.records.metrics import METRICS as METRICS_DECLARED

MATRIX = {"pytorch.attn_implementation": ["sdpa", "eager"], "pytorch.batch_size": [1, 2]}
METRICS = (
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
)


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> tuple[Pipeline, str]:
    """A study of 2 setups × 2 batch sizes × 2 replicates, and what the terminal showed."""
    pipeline = Pipeline(tmp_path_factory.mktemp("study"))
    pipeline.write(study(matrix=MATRIX, measurement={"replicates": 2, "min_window_s": 0.3}))
    done = pipeline.snakemake()
    assert done.returncode == 0, done.output
    return pipeline, done.output


def test_results_readme_names_whatever_is_there(measured: tuple[Pipeline, str]) -> None:
    page = (ROOT / "results" / "README.md").read_text(encoding="utf-8")
    there = [path for path in measured[0].results().rglob("*") if not path.name.startswith(".")]
    shown = {path.name for path in measured[0].results().iterdir() if not path.name.startswith(".")}
    assert {name for name in shown if f"<study>/{name}" not in page and f"`{name}`" not in page} == set()
    kinds = {path.name for path in there if path.is_file() and path.parent.parent.parent.name == "sessions"}
    assert kinds == {"measurements.jsonl", "requests.parquet", "power.parquet"}


def test_setups_are_shared_and_replicates_are_processes(measured: tuple[Pipeline, str]) -> None:
    pipeline, _ = measured
    records = pipeline.records()
    assert len(records) == 8
    assert {record["status"] for record in records} == {"ok"}
    # 2 sessions × 2 replicates: one process each, shared by the two batch sizes.
    assert len({record["worker_pid"] for record in records}) == 4
    assert len({record["setup_id"] for record in records}) == 2


def test_a_model_that_is_made_again_measures_what_is_missing_and_nothing_else(measured: tuple[Pipeline, str]) -> None:
    pipeline, _ = measured
    assert pipeline.snakemake("-n", "-R", "model").jobs == {"model": 1, "prompts": 1, "total": 2}
    pipeline.write(study(study="another"), "another.yaml")
    planned = pipeline.snakemake("-n", "-R", "model", configfile="another.yaml").jobs
    assert {"model", "load", "warmup", "measure", "report", "all"} <= set(planned)


def test_summary_has_the_columns_of_the_contract(measured: tuple[Pipeline, str]) -> None:
    pipeline, _ = measured
    with (pipeline.results() / "summary.csv").open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    head = ["experiment_id", "setup_id", "status", "failure_reason", "replicates", "suspect_left_out"]
    head += ["validity", "validity_codes", "model", "revision", "precision"]
    figures = [f"{metric}_{part}" for metric in METRICS for part in ("mean", "ci95_low", "ci95_high")]
    expected = [*head, *MATRIX, *figures, "energy_source", "boundary", "evidence_ok", "output_digest"]
    assert list(rows[0])[: len(expected)] == expected
    assert [row["experiment_id"] for row in rows] == list(pipeline.plan()["experiments"])
    for row in rows:
        assert row["replicates"] == "2"
        low, mean, high = (
            float(row[f"throughput_output_tokens_per_s_{part}"]) for part in ("ci95_low", "mean", "ci95_high")
        )
        assert low < mean < high
        assert row["energy_source"] == "estimated:codecarbon"
        assert float(row["energy_per_output_token_j_mean"]) > 0
        assert row["evidence_ok"].lower() == "true"
    # Batch size and attention change the speed, not the output.
    assert len({row["output_digest"] for row in rows}) == 1


def test_every_metric_is_what_its_page_says(measured: tuple[Pipeline, str]) -> None:
    pipeline, _ = measured
    computed = set()
    for path in (pipeline.results() / "sessions").glob("*/*/measurements.jsonl"):
        for line in path.read_text().splitlines():
            record = json.loads(line)
            quantities = raw_quantities(record, path.with_name("requests.parquet"))
            for name, value in record["metrics"].items():
                if METRICS_DECLARED[name].formula and value is not None:
                    computed.add(name)
                    assert value == pytest.approx(evaluate(name, quantities), rel=1e-9), name
    # What is left is read off, or computed from a trace that an estimate does not have.
    with_formula = {name for name in record["metrics"] if METRICS_DECLARED[name].formula}
    # Some estimates have one power, at work and idle; no GPU is metered here.
    of_two_powers = {"net_energy_per_output_token_j", "net_energy_per_request_j", "baseline_share"}
    of_gpus = {"energy_per_output_token_gpu_j", "energy_per_request_gpu_j"}
    assert with_formula - computed - of_two_powers == {"decode_energy_trace_j", *of_gpus}
    read_off = {"peak_memory_bytes", "process_memory_bytes", "pass_cv", "prefill_energy_trace_j"}
    assert set(record["metrics"]) - with_formula == read_off


def test_rates_agree_with_the_raw_requests(measured: tuple[Pipeline, str]) -> None:
    pipeline, _ = measured
    for path in (pipeline.results() / "sessions").glob("*/*/measurements.jsonl"):
        requests = pq.read_table(path.with_name("requests.parquet")).to_pandas()
        for line in path.read_text().splitlines():
            record = json.loads(line)
            metrics = record["metrics"]
            mine = requests[requests.experiment_id == record["experiment_id"]]
            assert len(mine) == metrics["requests"] == 3 * metrics["passes"]
            assert mine.output_tokens.sum() == metrics["output_tokens"] == 4 * len(mine)
            assert (mine.itl_s.map(len) == mine.output_tokens - 1).all()
            total = mine.ttft_s + mine.itl_s.map(sum)
            assert (total <= mine.e2e_latency_s).all()
            queued_s = mine.ttft_s - mine.service_ttft_s
            assert ((queued_s > 0) == (mine.batch_index > 0)).all()
            assert list(mine.e2e_latency_s - mine.service_e2e_latency_s) == pytest.approx(list(queued_s))
            rate = metrics["output_tokens"] / metrics["window_s"]
            assert metrics["throughput_output_tokens_per_s"] == pytest.approx(rate)
            busy_s = mine.drop_duplicates(["pass_index", "batch_index"]).service_e2e_latency_s.sum()
            assert busy_s <= metrics["window_s"] <= busy_s * 1.5 + 0.05


def test_every_joule_has_a_source_and_an_uncertainty(measured: tuple[Pipeline, str]) -> None:
    pipeline, _ = measured
    for record in pipeline.records():
        phases = {entry["phase"] for entry in record["energy"]}
        assert {"idle", "idle_resident", "generate", "prefill"} <= phases
        for entry in record["energy"]:
            assert entry["source"] == "estimated:codecarbon"
            assert entry["end_monotonic_s"] - entry["start_monotonic_s"] == pytest.approx(entry["duration_s"])
            if entry["energy_j"] is None:
                assert entry["reason"]
            else:
                assert entry["energy_j"] > 0
                assert entry["standard_uncertainty_j"] > 0


def test_every_setting_that_was_asked_for_has_evidence(measured: tuple[Pipeline, str]) -> None:
    pipeline, _ = measured
    for record in pipeline.records():
        evidence = record["evidence"]
        for path in MATRIX:
            assert evidence[path]["verdict"] == "applied", evidence[path]
            section, key = path.split(".")
            assert evidence[path]["requested"] == record["config"][section][key] == evidence[path]["effective"]
        assert not [path for path, entry in evidence.items() if entry["verdict"] == "ignored"]
        assert evidence["max_output_tokens"]["verdict"] == "applied"
        assert evidence["pytorch.num_beams"]["verdict"] == "default"


def test_a_person_sees_progress_and_a_summary(measured: tuple[Pipeline, str]) -> None:
    _, output = measured
    assert "[1/8]" in output
    assert "[8/8]" in output
    assert "output tokens/s" in output
    assert "left" in output
    answer = output[output.rindex("[8/8]") :]
    assert "report.html" in answer
    assert "Traceback" not in output


def test_a_second_run_has_nothing_to_do(measured: tuple[Pipeline, str]) -> None:
    pipeline, _ = measured
    done = pipeline.snakemake("-n", cores=1)
    assert done.returncode == 0
    assert "Nothing to be done" in done.output


def test_other_costs_do_not_trigger_new_measurements(measured: tuple[Pipeline, str]) -> None:
    pipeline, _ = measured
    costs = {"grid_intensity_kg_per_kwh": 0.4, "pue": 1.2}
    same = {"matrix": MATRIX, "measurement": {"replicates": 2, "min_window_s": 0.3}}
    pipeline.write(study(**same, costs=costs), "costs.yaml")
    assert set(pipeline.snakemake("-n", configfile="costs.yaml").jobs) == {"all", "costs", "report", "crate", "total"}
    done = pipeline.snakemake(configfile="costs.yaml")
    assert done.returncode == 0, done.output
    assert set(done.jobs) == {"all", "costs", "report", "crate", "total"}
    table = pd.read_csv(pipeline.results() / "costs.csv")
    summary = pd.read_csv(pipeline.results() / "summary.csv")
    assert list(table["emissions_kg_per_million_output_tokens"]) == pytest.approx(
        list(summary["energy_per_output_token_j_mean"] / 3.6 * 1.2 * 0.4)
    )
    assert "Carbon and cost" in (pipeline.results() / "report.html").read_text()
    assert set(pipeline.snakemake().jobs) == {"all", "costs", "report", "crate", "total"}


@pytest.mark.slow
def test_another_slo_does_not_trigger_new_measurements(measured: tuple[Pipeline, str]) -> None:
    pipeline, _ = measured
    same = {"matrix": MATRIX, "measurement": {"replicates": 2, "min_window_s": 0.3}}
    requests = [
        pq.read_table(path).to_pandas()
        for path in (pipeline.results() / "sessions").glob("*/*/*.parquet")
        if path.name == "requests.parquet"
    ]
    slo = {"ttft_s": float(pd.concat(requests).ttft_s.median())}
    pipeline.write(study(**same, slo=slo), "slo.yaml")
    done = pipeline.snakemake(configfile="slo.yaml")
    assert done.returncode == 0, done.output
    assert set(done.jobs) == {"all", "aggregate", "costs", "report", "crate", "total"}
    runs = pd.read_parquet(pipeline.results() / "runs.parquet").set_index(["experiment_id", "replicate"])
    for path in (pipeline.results() / "sessions").glob("*/*/measurements.jsonl"):
        for line in path.read_text().splitlines():
            record = json.loads(line)
            quantities = raw_quantities(record, path.with_name("requests.parquet"), slo)
            run = runs.loc[(record["experiment_id"], record["replicate"])]
            for name in ("slo_share", "energy_per_slo_request_j"):
                if quantities["slo_requests"] or name == "slo_share":
                    assert run[name] == pytest.approx(evaluate(name, quantities)), name
    assert 0 < runs.slo_share.mean() < 1
    assert "TTFT at most" in (pipeline.results() / "report.html").read_text()
    assert set(pipeline.snakemake().jobs) == {"all", "aggregate", "costs", "report", "crate", "total"}


def test_changing_the_measured_window_is_noticed(measured: tuple[Pipeline, str]) -> None:
    pipeline, _ = measured
    pipeline.write(study(matrix=MATRIX, measurement={"replicates": 2, "min_window_s": 0.4}), "longer.yaml")
    done = pipeline.snakemake("-n", configfile="longer.yaml")
    assert done.jobs["warmup"] == 2
    assert done.jobs["measure"] == 4
    assert "load" not in done.jobs


def test_deleting_one_replicate_measures_just_that_again(measured: tuple[Pipeline, str]) -> None:
    pipeline, _ = measured
    paths = sorted((pipeline.results() / "sessions").glob("*/*/measurements.jsonl"))
    before = {path: path.stat().st_mtime_ns for path in paths}
    for name in ("measurements.jsonl", "requests.parquet", "power.parquet"):
        (paths[0].parent / name).unlink()
    done = pipeline.snakemake()
    assert done.returncode == 0, done.output
    assert done.jobs["measure"] == 1
    assert not {"load", "warmup", "model", "validate"} & set(done.jobs)
    assert [path for path in paths if path.stat().st_mtime_ns != before[path]] == [paths[0]]


@pytest.mark.slow
def test_a_new_value_runs_only_the_new_experiments(measured: tuple[Pipeline, str]) -> None:
    pipeline, _ = measured
    old = {record["experiment_id"] for record in pipeline.records()}
    paths = sorted((pipeline.results() / "sessions").glob("*/*/measurements.jsonl"))
    before = {path: path.stat().st_mtime_ns for path in paths}
    wider = {**MATRIX, "pytorch.batch_size": [1, 2, 3]}
    pipeline.write(study(matrix=wider, measurement={"replicates": 2, "min_window_s": 0.3}))
    done = pipeline.snakemake()
    assert done.returncode == 0, done.output
    assert (done.jobs["warmup"], done.jobs["measure"]) == (2, 4)
    assert not {"load", "model"} & set(done.jobs)
    assert {path: path.stat().st_mtime_ns for path in paths} == before
    new = [record for record in pipeline.records() if record["experiment_id"] not in old]
    assert {record["config"]["pytorch"]["batch_size"] for record in new} == {3}
    assert len((pipeline.results() / "summary.csv").read_text().splitlines()) == 7

"""A study on a CUDA device: NVML's counter for energy, CUDA events for time, graphs where they were asked for.

Takes about 4 minutes on a device; skips where there is none.
"""

from __future__ import annotations

import json

import pyarrow.parquet as pq
import pytest
from harness import Pipeline, study

# Two setups in two replicates each, 25 s a process, and the loading, compilation and calibration of both before them.
PIPELINE_S = 540
pytestmark = [pytest.mark.gpu, pytest.mark.timeout(PIPELINE_S + 60)]
MODEL = (
    "random:llama?hidden_size=512&intermediate_size=1024&num_hidden_layers=4"
    "&num_attention_heads=8&num_key_value_heads=4&vocab_size=320&dtype=bfloat16"
)
DEFAULTS = {
    "model": MODEL,
    "precision": "bf16",
    "max_output_tokens": 16,
    "warmup": {"passes": 3},
    # Where RAPL can be read too, its joules would be among those that are looked at.
    "energy": {"meters": ["nvml"]},
}


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    pipeline = Pipeline(tmp_path_factory.mktemp("gpu"))
    matrix = {"pytorch.attn_implementation": ["sdpa", "eager"], "pytorch.cache_implementation": ["dynamic", "static"]}
    pipeline.write(
        study(defaults=DEFAULTS, matrix=matrix, measurement={"replicates": 2, "min_window_s": 3.0}),
    )
    done = pipeline.snakemake(timeout_s=PIPELINE_S)
    assert done.returncode == 0, done.output
    return pipeline


def test_energy_is_measured_on_the_device_that_holds_the_parameters(measured: Pipeline) -> None:
    for record in measured.records():
        assert record["status"] == "ok", record["warnings"]
        assert record["energy_source"] == "measured:nvml-total-energy"
        used = {device["uuid"] for device in record["devices"]["devices"]}
        counted = {entry["device"] for entry in record["energy"] if entry["source"].startswith("measured")}
        assert counted == used
        assert record["metrics"]["energy_per_output_token_j"] > 0
        idle = record["metrics"]["net_energy_per_output_token_j"]
        assert idle < record["metrics"]["energy_per_output_token_j"]


def test_the_trace_agrees_with_the_counter(measured: Pipeline) -> None:
    for path in (measured.results() / "sessions").glob("*/*/measurements.jsonl"):
        power = pq.read_table(path.with_name("power.parquet")).to_pandas()
        for line in path.read_text(encoding="utf-8").splitlines():
            record = json.loads(line)
            mine = power[(power.experiment_id == record["experiment_id"]) & (power.phase == "generate")]
            assert len(mine) >= 20
            assert mine.power_w.mean() == pytest.approx(record["metrics"]["average_power_w"], rel=0.25)


def test_device_time_stays_inside_the_window(measured: Pipeline) -> None:
    for path in (measured.results() / "sessions").glob("*/*/measurements.jsonl"):
        requests = pq.read_table(path.with_name("requests.parquet")).to_pandas()
        for line in path.read_text(encoding="utf-8").splitlines():
            record = json.loads(line)
            mine = requests[requests.experiment_id == record["experiment_id"]]
            busy_s = mine.drop_duplicates(["pass_index", "batch_index"]).e2e_latency_s.sum()
            assert 0.8 * record["metrics"]["window_s"] <= busy_s <= record["metrics"]["window_s"]
            assert (mine.ttft_s > 0).all()


def test_a_static_cache_is_compiled_by_transformers_and_not_in_the_window(measured: Pipeline) -> None:
    """In each experiment by itself: those with another cache, in the same process, have nothing compiled."""
    for record in measured.records():
        observed = record["evidence"]["pytorch.torch_compile"]["observed"]
        static = record["config"]["pytorch"]["cache_implementation"] == "static"
        assert ("transformers compiled its decoding step" in observed) == static
        assert ("frames_compiled: 0," in observed) != static
        assert ("graphs_recorded: 0," in observed) != static
        assert record["evidence"]["pytorch.cache_implementation"]["verdict"] == "applied"
        codes = {reason["code"] for reason in record["validity"]["reasons"]}
        assert not codes & {"recompiled-in-window", "graphs-recorded-in-window", "compiler-gave-up"}


def test_the_kernel_that_sdpa_picked_is_named(measured: Pipeline) -> None:
    for record in measured.records():
        if record["config"]["pytorch"]["attn_implementation"] == "sdpa":
            observed = record["evidence"]["pytorch.attn_implementation"]["observed"]
            # A static cache is compiled there, and compiled code may call no operator that has a name.
            compiled = record["config"]["pytorch"]["cache_implementation"] == "static"
            assert record["attention_kernels"] or (compiled and "which kernels ran is not known" in observed), observed


def test_the_libraries_inside_torch_are_named(measured: Pipeline) -> None:
    for record in measured.records():
        assert all(record["environment"]["libraries"].values()), record["environment"]["libraries"]


def test_peak_memory_is_the_devices(measured: Pipeline) -> None:
    for record in measured.records():
        assert 0 < record["metrics"]["peak_memory_bytes"] < record["devices"]["devices"][0]["memory_bytes"]

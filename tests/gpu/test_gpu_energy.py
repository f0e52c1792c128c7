"""Energy of a CUDA device held against itself. Takes about 6 minutes on one; skips where there is none."""

from __future__ import annotations

import statistics

import pytest
from benchmarks.gpu_energy import DEFAULTS
from harness import Pipeline, study

# Five processes of 35 s, and before them the model, its load and its calibration; twice that for a slow machine.
PIPELINE_S = 720
pytestmark = [pytest.mark.gpu, pytest.mark.slow, pytest.mark.timeout(PIPELINE_S + 60)]


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    pipeline = Pipeline(tmp_path_factory.mktemp("gpu"))
    pipeline.write(study(defaults=DEFAULTS, measurement={"replicates": 5, "min_window_s": 5.0}))
    done = pipeline.snakemake(timeout_s=PIPELINE_S)
    assert done.returncode == 0, done.output
    return pipeline


def test_joules_a_token_repeat_within_one_percent(measured: Pipeline) -> None:
    joules = [record["metrics"]["energy_per_output_token_j"] for record in measured.records()]
    assert statistics.stdev(joules) / statistics.fmean(joules) <= 0.01


def test_the_window_resolves_what_the_study_asks_for(measured: Pipeline) -> None:
    for record in measured.records():
        codes = {reason["code"] for reason in record["validity"]["reasons"]}
        assert "energy-resolution-missed" not in codes
        assert record["calibration"]["resolution_window_s"] > 0.1


def test_prefill_is_found_by_windows_and_by_the_trace(measured: Pipeline) -> None:
    for record in measured.records():
        metrics = record["metrics"]
        assert 0 < metrics["prefill_energy_j"] < metrics["energy_per_request_j"]
        assert metrics["prefill_energy_trace_j"] is not None, record["unknown"]
        assert record["phases"]["agrees"] or any(item["code"] == "phases-disagree" for item in record["warnings"])


def test_counter_and_integrated_power_are_compared(measured: Pipeline) -> None:
    for record in measured.records():
        (entry,) = [item for item in record["energy"] if item["phase"] == "generate" and item["domain"] == "gpu"]
        assert entry["cross_check"] is not None
        assert 0.5 < entry["cross_check"]["ratio"] < 2.0
        assert entry["expanded_uncertainty_j"] < 0.06 * entry["energy_j"]

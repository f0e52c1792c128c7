"""Several processes measure one experiment: they share the prompts or the weights, and the figures are of them all."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
from measurement.experiments import config

from llenergymeasure.measurement.worker.manager import LoadOrder, Manager, Refused


def measured(snapshot: Path, log: Path, **changes: Any) -> dict[str, Any]:
    """One experiment, measured once: the record, the requests and what the load said."""
    intent = config(n_prompts=5, max_output_tokens=6, **changes)
    with Manager(LoadOrder(intent, {"model": snapshot}, None, 120), log) as manager:
        load = manager.load()
        calibration = manager.ask({"do": "warmup", "config": intent, "min_window_s": 0.3, "energy_resolution": 0.01})
        answer = manager.ask(
            {
                "do": "measure",
                "config": intent,
                "calibration": {**calibration, "status": "ok"},
                "reference": {"experiment_id": "itself", "outputs": calibration["outputs"]},
            }
        )
    return {**answer, "load": load, "calibration": calibration}


@pytest.fixture(scope="module")
def alone(snapshot: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return measured(snapshot, tmp_path_factory.mktemp("alone") / "log")


@pytest.fixture(scope="module")
def shared(snapshot: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return measured(snapshot, tmp_path_factory.mktemp("shared") / "log", pytorch={"num_processes": 2, "batch_size": 2})


@pytest.mark.slow
def test_data_parallel_processes_answer_as_one_does(alone: dict[str, Any], shared: dict[str, Any]) -> None:
    assert shared["record"]["status"] == "ok"
    assert shared["record"]["output_digest"] == alone["record"]["output_digest"]
    assert [row["output_ids"] for row in shared["calibration"]["outputs"]] == [
        row["output_ids"] for row in alone["calibration"]["outputs"]
    ]
    for answer in (shared["record"]["output_match"], alone["record"]["output_match"]):
        assert answer["identical"] and answer["requests"] == 5
    assert shared["record"]["output_match"]["reference_logprob_mean"] == pytest.approx(
        alone["record"]["output_match"]["reference_logprob_mean"], abs=1e-4
    )


def test_every_prompt_is_generated_once_per_pass_whoever_has_it(shared: dict[str, Any]) -> None:
    passes = shared["calibration"]["measured_passes"]
    indices = [(row["pass_index"], row["request_index"]) for row in shared["requests"]]
    assert indices == [(place, request) for place in range(passes) for request in range(5)]
    # Three prompts make two batches in one process, two make one in the other.
    first = {row["request_index"]: row["batch_index"] for row in shared["requests"][:5]}
    assert first == {0: 0, 1: 0, 2: 1, 3: 2, 4: 2}


def test_the_evidence_names_the_processes_and_their_shares(shared: dict[str, Any]) -> None:
    entry = shared["record"]["evidence"]["pytorch.num_processes"]
    assert (entry["verdict"], entry["effective"]) == ("applied", 2)
    assert "with 3" in entry["observed"] and "with 2" in entry["observed"]
    assert str(shared["record"]["worker_pid"]) in entry["observed"]


def test_energy_and_time_are_those_of_one_window_over_all_processes(shared: dict[str, Any]) -> None:
    record = shared["record"]
    (entry,) = [entry for entry in record["energy"] if entry["phase"] == "generate" and entry["domain"] == "cpu"]
    tokens = sum(row["output_tokens"] for row in shared["requests"])
    assert record["metrics"]["throughput_output_tokens_per_s"] == pytest.approx(tokens / entry["duration_s"], rel=0.01)
    assert len([entry for entry in record["energy"] if entry["phase"] == "load"]) == 0
    assert record["devices"]["processes"][1]["kind"] == "cpu"


def test_memory_is_counted_in_every_process(alone: dict[str, Any], shared: dict[str, Any]) -> None:
    one, two = (run["load"]["memory"]["resident_bytes"] for run in (alone, shared))
    assert two == 2 * one
    assert shared["record"]["metrics"]["peak_memory_bytes"] > 1.5 * alone["record"]["metrics"]["peak_memory_bytes"]


@pytest.mark.slow
def test_tensor_parallel_processes_share_the_weights_and_answer_as_one_does(
    snapshot: Path, tmp_path: Path, alone: dict[str, Any]
) -> None:
    done = measured(snapshot, tmp_path / "log", pytorch={"tp_size": 2, "tp_plan": "auto"})
    record = done["record"]
    assert record["output_digest"] == alone["record"]["output_digest"]
    assert record["evidence"]["pytorch.tp_size"]["verdict"] == "applied"
    assert record["evidence"]["pytorch.tp_plan"]["verdict"] == "applied"
    assert len({row["request_index"] for row in done["requests"]}) == 5
    assert len(done["requests"]) == 5 * done["calibration"]["measured_passes"]


@pytest.mark.slow
def test_a_replica_that_is_killed_fails_the_experiment_and_leaves_nobody_behind(snapshot: Path, tmp_path: Path) -> None:
    intent = config(pytorch={"num_processes": 2})
    with Manager(LoadOrder(intent, {"model": snapshot}, None, 60), tmp_path / "log") as manager:
        worker = psutil.Process(manager.load()["worker_pid"])
        (replica,) = [child for child in worker.children() if "worker.replica" in " ".join(child.cmdline())]
        os.kill(replica.pid, signal.SIGKILL)
        with pytest.raises(Refused) as refused:
            manager.ask({"do": "warmup", "config": intent, "min_window_s": 0.1, "energy_resolution": 0.01})
    assert refused.value.failure.stage == "replicas"
    deadline = time.monotonic() + 10
    while worker.is_running() and worker.status() != psutil.STATUS_ZOMBIE and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not psutil.pid_exists(worker.pid) or worker.status() == psutil.STATUS_ZOMBIE


@pytest.mark.slow
def test_a_replica_that_dies_before_it_joins_is_not_waited_for(snapshot: Path, tmp_path: Path) -> None:
    def kill_it() -> None:
        while True:
            for child in psutil.Process().children(recursive=True):
                with contextlib.suppress(psutil.Error):  # ended meanwhile
                    if "llenergymeasure.measurement.worker.replica" in child.cmdline():
                        child.kill()
                        return
            time.sleep(0.01)

    intent = config(pytorch={"num_processes": 2})
    killing = threading.Thread(target=kill_it)
    killing.start()
    with (
        Manager(LoadOrder(intent, {"model": snapshot}, None, 900), tmp_path / "log") as manager,
        pytest.raises(Refused) as refused,
    ):
        manager.load()
    killing.join()
    assert refused.value.failure.error_class == "WorkerDied"
    assert "a process of this experiment ended with exit code -9" in (tmp_path / "log").read_text(encoding="utf-8")


@pytest.mark.slow
def test_what_fails_in_every_process_is_one_failure(snapshot: Path, tmp_path: Path) -> None:
    intent = config(precision="bf16", pytorch={"num_processes": 2, "attn_implementation": "flash_attention_2"})
    with (
        Manager(LoadOrder(intent, {"model": snapshot}, None, 60), tmp_path / "log") as manager,
        pytest.raises(Refused) as refused,
    ):
        manager.load()
    assert refused.value.failure.error_class == "ImportError"

"""Experiments that share a process give the figures that each gives in one of its own (`measurement.isolation`).

Each round has three fresh processes: one that both experiments share, as in a session, and one for each alone. An
experiment is measured in the shared one after the other was, and right before or after that in its own; the third
process sleeps. Processes differ in speed by themselves, so there are many rounds.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from measurement.experiments import config
from scipy import stats

from llenergymeasure.config.settings.model_ref import parse_model_ref
from llenergymeasure.config.study.lock import ModelsLock
from llenergymeasure.measurement.worker.manager import LoadOrder, Manager
from llenergymeasure.models.snapshot import materialise

# Large enough that a pass is more arithmetic than Python.
MODEL = (
    "random:llama?hidden_size=384&intermediate_size=1024&num_hidden_layers=6"
    "&num_attention_heads=6&num_key_value_heads=2&vocab_size=300"
)
SETTINGS = {"model": MODEL, "max_output_tokens": 16, "warmup": {"passes": 2}}
EXPERIMENTS = {
    name: config(**SETTINGS, pytorch={"batch_size": size}) for name, size in (("small batch", 1), ("large batch", 3))
}
METRICS = ("throughput_output_tokens_per_s", "ttft_s")
ROUNDS = 12
WIDEST = 1.5  # upper end of an interval over its lower end
PEAK_SHARE = 0.02

Record = dict[str, Any]
Pair = tuple[Record, Record]


@contextmanager
def processes(snapshot: Path, log: Path, count: int) -> Iterator[list[Manager]]:
    """So many, loaded at once: most of it is waiting for imports."""
    order = LoadOrder(config(**SETTINGS), {"model": snapshot}, None, timeout_s=120)
    with ExitStack() as running:
        managers = [running.enter_context(Manager(order, log)) for _ in range(count)]
        with ThreadPoolExecutor(count) as pool:
            list(pool.map(Manager.load, managers))
        yield managers


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Pair]]:
    """Experiment → round → the records in the shared process and in its own."""
    folder = tmp_path_factory.mktemp("isolation")
    snapshot = materialise(parse_model_ref(MODEL), None, folder / "model", lock=ModelsLock()).path
    rounds: dict[str, list[Pair]] = {name: [] for name in EXPERIMENTS}
    with processes(snapshot, folder / "log", 1) as (manager,):
        calibrated = dict(calibrations(manager))
    for round_number in range(ROUNDS):
        with processes(snapshot, folder / "log", 1 + len(EXPERIMENTS)) as (shared, *alone):
            before, *_ = EXPERIMENTS
            measure(shared, before, calibrated[before])
            for name, own in reversed(list(zip(EXPERIMENTS, alone, strict=True))):
                order = [shared, own] if round_number % 2 else [own, shared]
                records = {id(manager): measure(manager, name, calibrated[name]) for manager in order}
                rounds[name].append((records[id(shared)], records[id(own)]))
    return rounds


def calibrations(manager: Manager) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, intent in EXPERIMENTS.items():
        yield name, manager.ask({"do": "warmup", "config": intent, "min_window_s": 1.0, "energy_resolution": 0.5})


def measure(manager: Manager, name: str, calibration: dict[str, Any]) -> Record:
    reference = {"experiment_id": name, "outputs": calibration["outputs"]}
    order = {"do": "measure", "config": EXPERIMENTS[name], "calibration": calibration, "reference": reference}
    record: Record = manager.ask(order)["record"]
    return record


def ratio(rounds: list[Pair], metric: str) -> tuple[float, float]:
    """Shared over alone: an interval that holds for all experiments and metrics at once (Šidák 1967)."""
    logarithms = [math.log(shared["metrics"][metric] / alone["metrics"][metric]) for shared, alone in rounds]
    level = 0.95 ** (1 / (len(EXPERIMENTS) * len(METRICS)))
    t = stats.t.ppf((1 + level) / 2, len(logarithms) - 1)
    mean, half = statistics.mean(logarithms), t * statistics.stdev(logarithms) / math.sqrt(len(logarithms))
    return math.exp(mean - half), math.exp(mean + half)


pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_the_same_work_is_done(pairs: dict[str, list[Pair]], name: str) -> None:
    for shared, alone in pairs[name]:
        assert shared["status"] == alone["status"] == "ok"
        assert shared["worker_pid"] != alone["worker_pid"]
        assert shared["output_digest"] == alone["output_digest"]
        assert shared["metrics"]["passes"] == alone["metrics"]["passes"]


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_the_peak_is_that_of_the_experiment(pairs: dict[str, list[Pair]], name: str) -> None:
    for shared, alone in pairs[name]:
        peaks = [record["metrics"]["peak_memory_bytes"] for record in (shared, alone)]
        assert peaks[0] == pytest.approx(peaks[1], rel=PEAK_SHARE)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("name", EXPERIMENTS)
def test_the_speed_is_that_of_the_experiment(pairs: dict[str, list[Pair]], name: str, metric: str) -> None:
    low, high = ratio(pairs[name], metric)
    print(f"{metric} of the {name}, shared over alone: {low:.3f} to {high:.3f}")
    assert high / low <= WIDEST, f"{low:.3f} to {high:.3f} says nothing"
    assert low <= 1 <= high, f"shared over alone is {low:.3f} to {high:.3f}"

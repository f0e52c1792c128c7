"""`--resources gpu=N`: N workers side by side, each on a device and cores of its own.

The boards are simulated and the model is on the processor: what is looked at is who runs where, and when.
"""

from __future__ import annotations

import os
import shutil
import time
from itertools import combinations
from pathlib import Path
from typing import Any

import psutil
import pytest
from energy.simulated_gpus import build_driver, uuid
from harness import SIMULATED, Pipeline, study
from pipeline.interruptions import WORKER, assert_all_end, journalled, started

TWO_SETUPS = {"pytorch.attn_implementation": ["sdpa", "eager"], "pytorch.batch_size": [1, 2]}
# torch sees no simulated board: the study has to say that it is to measure on the processor.
ON_PROCESSOR = {"pytorch": {"device_map": "cpu"}}
Window = tuple[float, float]


@pytest.fixture
def boards(tmp_path: Path) -> dict[str, str]:
    """Settings of a machine with two boards, each near a core of its own."""
    if shutil.which("cc") is None:
        pytest.skip("no C compiler to build the simulated NVML library with")
    for name in ("driver", "locks"):
        (tmp_path / name).mkdir()
    build_driver(tmp_path / "driver")
    cores = sorted(os.sched_getaffinity(0))
    return {
        "LD_LIBRARY_PATH": str(tmp_path / "driver"),
        "TMPDIR": str(tmp_path / "locks"),
        "SIM_NVML_POWER_W": "200,210",
        "SIM_NVML_CORES": f"{hex(1 << cores[0])},{hex(1 << cores[-1])}",
    }


def test_more_workers_than_gpus_is_one_line(pipeline: Pipeline, boards: dict[str, str]) -> None:
    pipeline.write(study())
    done = pipeline.snakemake("--resources", "gpu=3", **boards)
    assert done.returncode == 1
    line = "--resources gpu=3 asks for 3 workers, each with a GPU of its own, and this machine offers 2; use "
    assert f"{line}--resources gpu=2\n" in done.output
    assert "Traceback" not in done.output and not list(pipeline.results().glob("setups/*"))


@pytest.mark.slow
def test_each_setup_sees_the_gpus_that_it_claims_of_a_server_with_eight(
    pipeline: Pipeline, boards: dict[str, str]
) -> None:
    pipeline.write(
        study(
            matrix={"pytorch.devices": [None, 4]},
            defaults={"pytorch": {"batch_size": 1}},
            measurement={"replicates": 2},
        )
    )
    eight = {**boards, "SIM_NVML_POWER_W": ",".join(["200"] * 8), "SIM_NVML_CORES": ""}
    # Not `validate`, which would ask torch for GPUs; the worker is simulated as well.
    done = pipeline.snakemake("results/quick/summary.csv", **eight, **SIMULATED)
    assert done.returncode == 0, done.output
    first_boards: dict[int, list[str]] = {1: [], 4: []}
    for record in pipeline.records():
        claimed = record["config"]["pytorch"]["devices"] or 1
        placed = record["environment"]["placement"]
        assert len(set(placed["devices"])) == claimed and placed["alone"]
        environment = record["meters"]["meters"][0]["environment"]
        assert environment == {
            "CUDA_VISIBLE_DEVICES": ",".join(placed["devices"]),
            "CUDA_DEVICE_ORDER": "PCI_BUS_ID",
        }
        first_boards[claimed] += placed["devices"][:1]
    # Not the first board, and another one in the next replicate; the same for both setups.
    assert len(set(first_boards[1])) == 2 and first_boards[1] == first_boards[4]


@pytest.mark.parametrize(
    ("settings", "environment", "said"),
    [
        ({"devices": 3}, {}, "claims 3 GPUs and 2 can be used here; lower pytorch.devices, "),
        ({}, {"CUDA_VISIBLE_DEVICES": "GPU-0"}, "'GPU-0' names no GPU here; CUDA ignores it and what follows it. "),
        ({}, {"SIM_NVML_NAMES": "H100,T400"}, "the GPUs here are of different models (1 × H100, 1 × T400)"),
    ],
)
def test_a_machine_without_what_a_setup_claims_is_one_line_before_anything_runs(
    pipeline: Pipeline, boards: dict[str, str], settings: dict[str, Any], environment: dict[str, str], said: str
) -> None:
    pipeline.write(study(defaults={"pytorch": settings}))
    done = pipeline.snakemake("validate", **boards, **environment)
    assert done.returncode == 1
    assert len([line for line in done.output.splitlines() if said in line]) == 1, done.output
    assert "Traceback" not in done.output and not (pipeline.results() / "validation.json").exists()


@pytest.mark.slow
def test_gpus_that_torch_cannot_use_stop_the_study(pipeline: Pipeline, boards: dict[str, str]) -> None:
    """torch is built without CUDA here, and there are boards: nothing is measured on the processor instead."""
    pipeline.write(study())
    done = pipeline.snakemake("validate", **boards)
    assert done.returncode == 1 and "Traceback" not in done.output
    assert "NVML sees 2 GPUs (driver 999.1) and torch" in done.output and "it is a build without CUDA" in done.output
    # Unless the study says so, or the user hides the boards.
    assert pipeline.snakemake("validate", **boards, CUDA_VISIBLE_DEVICES="").returncode == 0
    pipeline.write(study(defaults=ON_PROCESSOR))
    assert pipeline.snakemake("validate", **boards).returncode == 0


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_workers_share_no_device_no_core_and_a_killed_one_keeps_none(
    pipeline: Pipeline, boards: dict[str, str]
) -> None:
    measurement = {"replicates": 2, "min_window_s": 3.0}
    pipeline.write(study(matrix=TWO_SETUPS, defaults=ON_PROCESSOR, measurement=measurement))
    killed = False
    places: dict[int, tuple[str, tuple[int, ...]]] = {}
    with started(pipeline, "--resources", "gpu=2", **boards) as running:
        while running.process.poll() is None:
            workers = running.find(WORKER)
            at_once = dict(place for place in map(place_of, workers) if place)
            assert len({device for device, _ in at_once.values()}) == len(at_once)
            places.update(at_once)
            # Not before both have measured: what a killed one was measuring has no windows that could overlap.
            if not killed and workers and boards_of(journalled(pipeline, "*/*")) == {uuid(0), uuid(1)}:
                workers[0].kill()
                killed = True
            time.sleep(0.2)
        assert running.process.returncode == 0, running.output
        assert_all_end(pipeline)
    cores = sorted(os.sched_getaffinity(0))
    assert set(places.values()) == {(uuid(0), (cores[0],)), (uuid(1), (cores[-1],))}

    records = pipeline.records()
    assert len(records) == 8
    failed = [record for record in records if record["status"] == "failed"]
    assert killed and [record["failure"]["class"] for record in failed] == ["WorkerDied"]
    windows: dict[str, list[Window]] = {uuid(0): [], uuid(1): []}
    for record in records:
        placed = record["environment"]["placement"]
        assert placed["workers"] == 2 and len(placed["devices"]) == 1
        windows[placed["devices"][0]] += windows_of(record)
        if record["status"] == "ok":
            (neighbours,) = [item for item in record["warnings"] if item["code"] == "neighbours-on-node"]
            assert "exclusive_node" in neighbours["message"]
    for of_one in windows.values():
        assert of_one and not any(overlap(*pair) for pair in combinations(sorted(set(of_one)), 2))
    assert any(overlap(one, other) for one in windows[uuid(0)] for other in windows[uuid(1)])


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_an_exclusive_node_measures_one_at_a_time(pipeline: Pipeline, boards: dict[str, str]) -> None:
    pipeline.write(study(matrix=TWO_SETUPS, defaults=ON_PROCESSOR, measurement={"exclusive_node": True}))
    done = pipeline.snakemake("--resources", "gpu=2", **boards)
    assert done.returncode == 0, done.output
    records = pipeline.records()
    for record in records:
        assert len(record["environment"]["placement"]["devices"]) == 1
        assert not [item for item in record["warnings"] if item["code"] == "neighbours-on-node"]
    windows = {window for record in records for window in windows_of(record)}
    assert windows and not any(overlap(*pair) for pair in combinations(sorted(windows), 2))


def windows_of(record: dict[str, Any]) -> list[Window]:
    """What was measured in one experiment, without the idle windows that a process's experiments share."""
    entries = [entry for entry in record["energy"] if not entry["phase"].startswith("idle")]
    return list({(entry["start_monotonic_s"], entry["end_monotonic_s"]) for entry in entries})


def overlap(one: Window, other: Window) -> bool:
    return one[0] < other[1] and other[0] < one[1]


def boards_of(records: dict[str, Any]) -> set[str]:
    return {board for record in records.values() for board in record["environment"]["placement"]["devices"]}


def place_of(worker: psutil.Process) -> tuple[int, tuple[str, tuple[int, ...]]] | None:
    """A worker's process, device and cores; None where it has ended meanwhile."""
    try:
        return worker.pid, (worker.environ()["CUDA_VISIBLE_DEVICES"], tuple(worker.cpu_affinity() or ()))
    except (psutil.Error, OSError, KeyError):
        return None

"""Manager and worker: the manager sleeps, survives a dead worker, and leaves no orphan."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
from harness import ROOT
from measurement.experiments import config

from llenergymeasure.engine.failure import ExperimentFailure
from llenergymeasure.engine.replicas import Alone
from llenergymeasure.measurement.session import Session
from llenergymeasure.measurement.worker.client import WorkerBug, WorkerStopped
from llenergymeasure.measurement.worker.manager import Damaged, LoadOrder, Manager, Refused


def order(snapshot: Path, timeout_s: float = 120, **changes: Any) -> LoadOrder:
    return LoadOrder(config=config(**changes), snapshots={"model": snapshot}, compile_cache=None, timeout_s=timeout_s)


def kill_soon(manager: Manager, after_s: float, by: signal.Signals = signal.SIGKILL) -> None:
    worker = manager._worker
    assert worker is not None
    threading.Timer(after_s, os.kill, (worker.pid, by)).start()


# A pass of this experiment lasts minutes: long enough to be killed in the middle.
ENDLESS = {"max_output_tokens": 4000, "n_prompts": 50}


def test_a_killed_worker_costs_one_experiment_and_the_next_gets_a_new_one(snapshot: Path, tmp_path: Path) -> None:
    with Manager(order(snapshot), tmp_path / "log") as manager:
        first = manager.load()["worker_pid"]
        kill_soon(manager, 1.0)
        with pytest.raises(Refused, match="SIGKILL") as refused:
            manager.ask({"do": "warmup", "config": config(**ENDLESS), "min_window_s": 0.1, "energy_resolution": 0.01})
        assert refused.value.failure.error_class == "WorkerDied"
        assert refused.value.failure.stage == "warmup"
        answer = manager.ask({"do": "warmup", "config": config(), "min_window_s": 0.1, "energy_resolution": 0.01})
        assert answer["warmup_passes"] == 1
        second = manager.loaded["worker_pid"]
        assert second != first
        # A cluster that takes its node back asks the processes to end: that is not a result of the experiment.
        kill_soon(manager, 0.5, signal.SIGTERM)
        with pytest.raises(WorkerStopped, match="SIGTERM"):
            manager.ask({"do": "warmup", "config": config(**ENDLESS), "min_window_s": 0.1, "energy_resolution": 0.01})
    assert not psutil.pid_exists(second)


def test_no_worker_loads_files_that_are_not_those_of_the_snapshot(snapshot: Path, tmp_path: Path) -> None:
    """As when the file that a snapshot links to is overwritten in place, after the load job saw it whole."""
    copy = Path(shutil.copytree(snapshot, tmp_path / "model"))
    weights = copy / "model.safetensors"
    message = {"do": "warmup", "config": config(), "min_window_s": 0.1, "energy_resolution": 0.01}
    with Manager(order(copy), tmp_path / "log") as manager:
        manager.ask(message)
        content = weights.read_bytes()
        weights.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        manager.replace_worker()
        for _ in range(2):
            with pytest.raises(Damaged, match=r"model\.safetensors has changed") as refused:
                manager.ask(message)
            assert (refused.value.failure.stage, refused.value.failure.error_class) == ("load", "SnapshotError")
        assert manager._worker is None


def test_a_worker_measures_the_prompts_that_were_checked(snapshot: Path, tmp_path: Path) -> None:
    message = {"do": "warmup", "config": config(), "min_window_s": 0.1, "energy_resolution": 0.01}
    with Manager(order(snapshot), tmp_path / "log") as manager:
        calibration = manager.ask(message)
        assert manager.ask({**message, "prompts_digest": calibration["prompts_digest"]})["warmup_passes"] == 1
        others = {**calibration, "prompts_digest": "0" * 64}
        reference = {"experiment_id": "none", "outputs": []}
        measure = {"do": "measure", "config": config(), "calibration": others, "reference": reference}
        for asked in ({**message, "prompts_digest": "0" * 64}, measure):
            with pytest.raises(Refused, match="the prompts are not those that were checked") as refused:
                manager.ask(asked)
            assert (refused.value.failure.stage, refused.value.failure.error_class) == ("prompts", "PromptError")


def test_an_experiment_that_takes_too_long_is_ended(snapshot: Path, tmp_path: Path) -> None:
    with Manager(order(snapshot), tmp_path / "log") as manager:
        pid = manager.load()["worker_pid"]
        manager._order = order(snapshot, timeout_s=1.0)
        with pytest.raises(Refused, match="experiment_timeout_s"):
            manager.ask({"do": "warmup", "config": config(**ENDLESS), "min_window_s": 0.1, "energy_resolution": 0.01})
        assert not psutil.pid_exists(pid)


def test_what_the_library_refuses_is_a_failure_and_what_we_break_is_not(snapshot: Path, tmp_path: Path) -> None:
    with Manager(order(snapshot), tmp_path / "log") as manager:
        with pytest.raises(Refused) as refused:
            manager.ask(
                {
                    "do": "warmup",
                    "config": config(pytorch={"cache_implementation": "offloaded"}),
                    "min_window_s": 0.1,
                    "energy_resolution": 0.01,
                }
            )
        assert refused.value.failure.stage == "generate"
        assert "\n" not in refused.value.failure.reason
        with pytest.raises(WorkerBug, match="energy_resolution"):
            manager.ask({"do": "warmup", "config": config()})


def test_an_error_of_the_device_is_the_experiments_failure_wherever_it_is_reported() -> None:
    """A device-side assertion is reported at a later call; the manager replaces the worker after every failure."""
    session = Session(Alone())

    def fails() -> dict[str, Any]:
        raise torch.AcceleratorError("CUDA error: device-side assert triggered\nCUDA kernel errors might be async")

    session._commands = dict.fromkeys(("load", "compile", "warmup", "measure"), fails)
    for stage in session._commands:
        with pytest.raises(ExperimentFailure) as failure:
            session.perform({"do": stage})
        assert (failure.value.stage, failure.value.error_class) == (stage, "AcceleratorError")
        assert failure.value.reason == "CUDA error: device-side assert triggered"


def test_the_manager_sleeps_while_the_worker_works(snapshot: Path, tmp_path: Path) -> None:
    with Manager(order(snapshot), tmp_path / "log") as manager:
        manager.load()
        before = resource.getrusage(resource.RUSAGE_SELF)
        start = time.monotonic()
        manager.ask(
            {
                "do": "warmup",
                "config": config(max_output_tokens=60, warmup={"passes": 20}),
                "min_window_s": 0.1,
                "energy_resolution": 0.01,
            }
        )
        elapsed_s = time.monotonic() - start
        after = resource.getrusage(resource.RUSAGE_SELF)
    used_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    assert elapsed_s > 2
    assert used_s < 0.02 * elapsed_s


def test_a_killed_manager_leaves_no_worker_behind(snapshot: Path, tmp_path: Path) -> None:
    code = (
        "import sys, json, pathlib\n"
        "from llenergymeasure.measurement.worker.manager import LoadOrder, Manager\n"
        "config, snapshot, log = json.loads(sys.argv[1]), pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3])\n"
        "manager = Manager(LoadOrder(config, {'model': snapshot}, None, 120), log)\n"
        "print(manager.load()['worker_pid'], flush=True)\n"
        "windows = {'min_window_s': 0.1, 'energy_resolution': 0.01}\n"
        "manager.ask({'do': 'warmup', 'config': json.loads(sys.argv[4]), **windows})\n"
    )
    arguments = [json.dumps(config()), str(snapshot), str(tmp_path / "log"), json.dumps(config(**ENDLESS))]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "scripts")}
    with subprocess.Popen(
        [sys.executable, "-c", code, *arguments], stdout=subprocess.PIPE, text=True, env=environment
    ) as manager:
        assert manager.stdout is not None
        worker = int(manager.stdout.readline())
        time.sleep(0.5)
        manager.kill()
        deadline = time.monotonic() + 10
        while psutil.pid_exists(worker) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert not psutil.pid_exists(worker)


def test_the_manager_imports_nothing_heavy() -> None:
    """Every job pays for what it imports, and the one that measures keeps it beside the worker."""
    code = (
        "import sys; from llenergymeasure.pipeline import jobs, stages; "
        "print(sorted({'torch', 'transformers', 'pandas', 'scipy'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(ROOT / "scripts")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"

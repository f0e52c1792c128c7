"""The rows about GPUs, on simulated boards: a real NVML binding in a process of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from energy.simulated_gpus import build_driver
from harness import ROOT, TINY

# For each case the driver's answers change; the library asks for them at each call.
ASK = """
import json, os, sys
from dataclasses import asdict
from pathlib import Path
from llenergymeasure.config import ExperimentConfig
from llenergymeasure.pipeline.doctor.configured import Configured
from llenergymeasure.pipeline.doctor.gpus import gpu_rows
before = dict(os.environ)
for settings, control, pytorch in json.loads(sys.argv[1]):
    os.environ.clear()
    os.environ.update(before)
    for key, value in settings.items():
        os.environ[f"SIM_NVML_{key.upper()}" if key.islower() else key] = value
    Path(os.environ["SIM_NVML_CONTROL"]).write_text(control)
    experiments = [ExperimentConfig.model_validate({"model": %r, "pytorch": each}) for each in pytorch]
    print(json.dumps([asdict(row) for row in gpu_rows(Configured(experiments))]))
"""
EIGHT = {"power_w": ",".join(["60"] * 8), "names": ",".join(["NVIDIA H100 80GB HBM3"] * 8), "driver": "580.65.06"}


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("cc") is None:
        pytest.skip("no C compiler to build the simulated NVML library with")
    return build_driver(tmp_path_factory.mktemp("driver")).parent


def rows(driver: Path, *cases: tuple[dict[str, str], str, list[dict[str, Any]]]) -> list[dict[str, dict[str, str]]]:
    """Rows by what they are about, for each case."""
    settings = {
        "PYTHONPATH": str(ROOT / "scripts"),
        "LD_LIBRARY_PATH": str(driver),
        "SIM_NVML_CONTROL": str(driver / "control"),
    }
    command = [sys.executable, "-c", ASK % TINY, json.dumps(cases)]
    done = subprocess.run(command, env={**os.environ, **settings}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return [{row["what"]: row for row in json.loads(line)} for line in done.stdout.splitlines()]


def test_eight_boards_and_what_is_wrong_with_some(driver: Path, request: pytest.FixtureRequest) -> None:
    # It is not of this test's tree, as another user's program is not.
    command = ["setsid", "--fork", "sh", "-c", "echo $$; exec sleep 600 >/dev/null 2>&1"]
    pid = int(subprocess.check_output(command, text=True))
    request.addfinalizer(lambda: os.kill(pid, 15))
    mixed = EIGHT | {"mig": "0,1,0,0,0,0,0,0", "no_counter": "0,0,1,0,0,0,0,0"}
    orders = f"3 limit_w 350\n4 process {pid}\n4 sm {pid * 1000 + 40}\n5 process {pid}\n"
    sound, doubtful = rows(driver, (EIGHT, "", []), (mixed, orders, []))
    assert sound["NVIDIA driver"]["found"] == "580.65.06, for CUDA 13.0"
    for board in range(8):
        row = sound[f"GPU {board}"]
        assert row["status"] == "ok" and row["advice"] == ""
        assert row["found"].startswith("NVIDIA H100 80GB HBM3, ") and row["found"].endswith(
            "total-energy counter, free"
        )
    assert {name: row["status"] for name, row in doubtful.items() if row["status"] != "ok"} == dict.fromkeys(
        ["GPU 1", "GPU 2", "GPU 3", "GPU 4"], "warning"
    )
    assert "a MIG instance has no energy counter" in doubtful["GPU 1"]["advice"]
    assert "`sudo nvidia-smi -i 1 -mig 0`" in doubtful["GPU 1"]["advice"]
    assert "no total-energy counter" in doubtful["GPU 2"]["found"]
    assert "power is integrated instead" in doubtful["GPU 2"]["advice"]
    assert "limit 350 W" in doubtful["GPU 3"]["found"]
    assert "`sudo nvidia-smi -i 3 -pl " in doubtful["GPU 3"]["advice"]
    assert f"used by process {pid} (sleep)" in doubtful["GPU 4"]["found"]
    assert "suspect: end them, or reserve it" in doubtful["GPU 4"]["advice"]
    assert f"memory held by process {pid} (sleep)" in doubtful["GPU 5"]["found"]
    # MIG is said once; boards of different models, counted in CUDA's own order, are another matter.
    assert "choice of GPUs" not in doubtful
    (order,) = rows(driver, (EIGHT | {"names": "NVIDIA H100,NVIDIA L4", "CUDA_VISIBLE_DEVICES": "0"}, "", []))
    assert "is read in the order of the PCI bus" in order["choice of GPUs"]["found"]


def test_what_keeps_a_study_from_the_boards_is_what_ends_a_run(driver: Path) -> None:
    two, none, gone, one_of_eight = rows(
        driver,
        (EIGHT | {"power_w": "60,60"}, "", [{"devices": 4}]),
        (EIGHT | {"power_w": "60", "mig": "1"}, "", [{}]),
        (EIGHT | {"CUDA_VISIBLE_DEVICES": "9"}, "", [{}]),
        (EIGHT | {"CUDA_VISIBLE_DEVICES": "3"}, "", [{}, {"device_map": "cpu"}]),
    )
    assert two["GPUs of the study"]["status"] == "problem"
    assert "claims 4 GPUs and 2 can be used here" in two["GPUs of the study"]["found"]
    assert "no GPU of this machine can be measured" in none["GPUs of the study"]["found"]
    assert "'9' names no GPU here" in gone["GPUs of the study"]["found"]
    assert not {row["status"] for row in one_of_eight.values()} - {"ok"}


def test_a_machine_without_a_driver(driver: Path) -> None:
    settings = {"PYTHONPATH": str(ROOT / "scripts"), "SIM_NVML_CONTROL": str(driver / "control")}
    command = [sys.executable, "-c", ASK % TINY, json.dumps([({}, "", [])])]
    environment = {name: value for name, value in os.environ.items() if name != "LD_LIBRARY_PATH"}
    (row,) = json.loads(subprocess.check_output(command, env={**environment, **settings}, text=True))
    if row["what"] == "NVIDIA driver":
        pytest.skip("this machine has one")
    assert row["status"] == "ok"
    assert "no NVIDIA driver here" in row["found"] and "models run on the processor" in row["found"]

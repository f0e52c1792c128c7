"""What a record says of the boards that hold the model: a whole session over a simulated driver."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from energy.simulated_gpus import SCRIPTS, build_driver, uuid
from measurement.experiments import config

BYTES = 3_000_000_000


@pytest.fixture
def measured(tmp_path: Path, snapshot: Path) -> Any:
    if shutil.which("cc") is None:
        pytest.skip("no C compiler to build the simulated NVML library with")
    build_driver(tmp_path)

    def run(*boards: str, control: str) -> dict[str, Any]:
        (tmp_path / "control").write_text(control, encoding="ascii")
        order = {
            "config": config(
                energy={"meters": ["nvml"]},
                baseline={"duration_s": 0.5},
                warmup={"passes": 2},
                pytorch={"device_map": "cpu"},
            ),
            "snapshot": str(snapshot),
            "boards": boards,
        }
        done = subprocess.run(
            [sys.executable, str(Path(__file__).with_name("session_on_boards.py")), json.dumps(order)],
            env={
                **os.environ,
                "PYTHONPATH": str(SCRIPTS),
                "LD_LIBRARY_PATH": str(tmp_path),
                "SIM_NVML_POWER_W": "100,300",
                "SIM_NVML_CONTROL": str(tmp_path / "control"),
            },
            capture_output=True,
            text=True,
            timeout=200,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        record: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return record

    return run


def test_the_record_has_board_and_memory_and_how_power_settled(measured: Any) -> None:
    record = measured(uuid(0), control=f"0 process {os.getpid()}\n0 process_bytes {BYTES}\n")
    assert record["status"] == "ok"
    assert record["energy_source"] == "measured:nvml-total-energy"
    assert record["metrics"]["average_power_w"] == pytest.approx(100, rel=0.05)
    assert record["metrics"]["process_memory_bytes"] == BYTES
    assert record["memory"]["driver"]["reason"] is None
    assert "usedGpuMemory" in record["memory"]["driver"]["source"]
    (board,) = [device["board"] for device in record["meters"]["devices"] if device["metered"]]
    assert (board["vbios"], board["power_limit_default_w"]) == ("96.00.5F.00.01", 400.0)
    assert record["meters"]["meters"][0]["cuda_driver"] == "13.0"
    for facts in record["conditions"]["idle_resident"]:
        assert facts["settling"]["settled"] is True
        # A board whose power and clock are the same at work and idle settles with the third second.
        assert facts["settling"]["powers_w"] == pytest.approx([100.0, 100.0, 100.0], rel=0.03)
        assert facts["settling"]["sm_clocks_mhz"] == [{uuid(0): 1410}] * 3
    assert record["conditions"]["generate"][uuid(0)]["processes_told"] is True


@pytest.mark.slow
def test_a_model_on_a_board_that_nvml_refuses_is_measured_without_energy(measured: Any) -> None:
    """One that was read beside it does not stand for both, and nobody's worker dies of it."""
    record = measured(uuid(0), uuid(1), control=f"1 handle 4\n0 process {os.getpid()}\n")
    assert record["status"] == "ok"
    assert record["metrics"]["throughput_output_tokens_per_s"] > 0
    for metric in ("energy_per_request_j", "average_power_w", "net_energy_per_request_j"):
        assert record["metrics"][metric] is None
        assert uuid(1) in record["unknown"][metric] and "Insufficient Permissions" in record["unknown"][metric]
    assert record["unknown"]["process_memory_bytes"] == f"{uuid(1)}: no open meter asks its driver"
    assert "gpu-not-metered" in {warning["code"] for warning in record["warnings"]}
    by_device = {entry["device"]: entry for entry in record["energy"] if entry["phase"] == "generate"}
    assert by_device[uuid(0)]["energy_j"] > 0
    assert by_device[uuid(1)]["energy_j"] is None

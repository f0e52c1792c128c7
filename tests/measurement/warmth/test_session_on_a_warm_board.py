"""A whole session over a simulated driver, on a board that warms up under load: identical experiments begin alike."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from energy.simulated_gpus import SCRIPTS, build_driver, uuid
from measurement.experiments import config


@pytest.mark.slow
def test_identical_experiments_begin_at_one_temperature(tmp_path: Path, snapshot: Path) -> None:
    if shutil.which("cc") is None:
        pytest.skip("no C compiler to build the simulated NVML library with")
    build_driver(tmp_path)
    control = tmp_path / "control"
    control.write_text("0 celsius 40\n", encoding="ascii")
    order = {
        "config": config(
            energy={"meters": ["nvml"]},
            baseline={"duration_s": 0.5},
            # A busy machine must not decide how many passes the latencies need.
            warmup={"cv_threshold": 1.0, "temperature_window_s": 4.0, "temperature_timeout_s": 40.0},
            pytorch={"device_map": "cpu"},
        ),
        "snapshot": str(snapshot),
        "board": uuid(0),
        "control": str(control),
    }
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("session_on_a_warm_board.py")), json.dumps(order)],
        env={
            **os.environ,
            "PYTHONPATH": str(SCRIPTS),
            "LD_LIBRARY_PATH": str(tmp_path),
            "SIM_NVML_POWER_W": "300",
            "SIM_NVML_CONTROL": str(control),
        },
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout.splitlines()[-1])

    for calibration in answer["calibrations"]:
        assert calibration["warmth"]["rested"] is True
        assert calibration["warmth"]["boards_c"][uuid(0)] == pytest.approx(76, abs=2)
        assert calibration["warmup_passes"] < len(calibration["latencies_s"])
    slope = answer["temperatures"]["boards"][uuid(0)]["power_per_c_w"]
    assert slope is not None

    thermals = [record["thermal"] for record in answer["records"]]
    targets = {thermal["target_c"] for thermal in thermals}
    assert len(targets) == 1
    assert [thermal["goal_c"] for thermal in thermals] == pytest.approx([*targets, *targets], abs=0.5)
    assert all(thermal["within_band"] for thermal in thermals)
    begins = [record["conditions"]["generate"][uuid(0)]["temperature_first_c"] for record in answer["records"]]
    assert max(begins) - min(begins) <= 3 and min(begins) >= 70
    for record in answer["records"]:
        assert record["thermal"]["window_c"] is not None
        kinds = [row["kind"] for row in record["budget"]["energy_per_request_j"]]
        assert kinds.count("temperature") == 1

"""Running a scenario in a process of its own, and what the simulated boards really draw."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
SCRIPTS = HERE.parents[1] / "scripts"
Run = Callable[..., dict[str, Any]]
COUNTER = "measured:nvml-total-energy"
# Reasons of low clocks that the driver counts; the others are seen in samples.
COUNTED = ("sw_power_cap", "sync_boost", "sw_thermal_slowdown", "hw_thermal_slowdown", "hw_power_brake_slowdown")
NOT_LISTED = "the driver lists no process of this experiment on the board (a container hides process ids)"


def build_driver(folder: Path, *flags: str) -> Path:
    """Compile the simulated library into a folder; its soname lets the binding find it once it is loaded by path."""
    target = folder / "libnvidia-ml.so.1"
    command = ["cc", "-shared", "-fPIC", "-O2", "-Wl,-soname,libnvidia-ml.so.1", *flags, "-o", str(target)]
    subprocess.run([*command, str(HERE / "simulated_nvml.c"), "-lm", "-lpthread"], check=True)
    return target


def uuid(board: int) -> str:
    """The UUID that the simulated library gives a board."""
    return f"GPU-{board + 1}0000000-0000-0000-0000-000000000000"


def true_energy_j(start_s: float, end_s: float, *, mean_w: float, swing_w: float = 0.0, period_s: float = 1.0) -> float:
    """What a simulated board draws: the integral of mean + swing·sin(2πt/period)."""
    phase = 2 * math.pi / period_s
    return mean_w * (end_s - start_s) + swing_w / phase * (math.cos(phase * start_s) - math.cos(phase * end_s))


def nvml(*windows: dict[str, Any], **settings: Any) -> dict[str, Any]:
    """The order for `run_scenario`: these windows, metered by NVML."""
    return {"meters": ["nvml"], "windows": list(windows), **settings}


def codes_and_severities(answer: dict[str, Any]) -> list[tuple[str, str]]:
    """Code and severity of every finding of every window."""
    return [(finding["code"], finding["severity"]) for window in answer["windows"] for finding in window["findings"]]


def warning_codes(answer: dict[str, Any]) -> list[str]:
    return [warning["code"] for warning in answer["warnings"]]


def without_gain_j(entry: dict[str, Any]) -> float:
    """The standard uncertainty of a ledger entry but for the gain."""
    return math.hypot(*(part["standard_j"] for part in entry["components"] if part["kind"] != "gain"))


def run_scenario(tmp_path: Path, environment: dict[str, str], order: dict[str, Any]) -> dict[str, Any]:
    """What `scenario.py` answers; its stderr must stay empty."""
    inherited = {name: os.environ[name] for name in ("PATH", "HOME", "LD_LIBRARY_PATH") if name in os.environ}
    done = subprocess.run(
        [sys.executable, str(HERE / "scenario.py"), json.dumps(order)],
        env={**inherited, "PYTHONPATH": str(SCRIPTS), **environment},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer

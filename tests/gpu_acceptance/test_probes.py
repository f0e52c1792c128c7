"""Questions that are put to a board, over the simulated NVML library in a process of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from benchmarks.gpu.part_environment import FIGURES
from benchmarks.gpu.rehearsal import simulated_board
from harness import ROOT

pytestmark = pytest.mark.usefixtures("driver")


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return simulated_board(tmp_path_factory.mktemp("driver"))


@pytest.mark.slow
def test_the_cost_of_the_sampler_is_that_of_several_passes_per_window(driver: dict[str, str]) -> None:
    program = """
import dataclasses, json
from benchmarks.gpu.probes import sampler_cost
from benchmarks.gpu.scale import REHEARSAL
from llenergymeasure.engine.generation.static_batching import StaticGenerator
ran, passes = StaticGenerator.run_pass, []
StaticGenerator.run_pass = lambda *a, **k: (passes.append(1), ran(*a, **k))[1]
sampler_cost.at_default(dataclasses.replace(REHEARSAL, pairs=2, passes_per_window=5))
print(len(passes) - 5 * sampler_cost.WARM_UP)
"""
    done = run(["-c", program], driver)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.splitlines()[-1]) == 2 * 2 * 5


@pytest.mark.slow
def test_windows_say_how_often_the_power_limit_held_the_clocks_down(driver: dict[str, str], tmp_path: Path) -> None:
    orders = tmp_path / "orders"
    orders.write_text("0 throttle 4\n0 reason_counters 3\n", encoding="utf-8")
    program = """
import dataclasses, json
from benchmarks.gpu.probes import window_lengths
from benchmarks.gpu.scale import REHEARSAL
print(json.dumps(window_lengths.windows(dataclasses.replace(REHEARSAL, lengths_s=(0.6, 0.3, 0.6, 0.3)))))
"""
    done = run(["-c", program], driver, SIM_NVML_CONTROL=str(orders))
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout.splitlines()[-1])
    assert [row["power_limited"] for row in figures["windows"]] == [1.0] * 4
    assert figures["power_limited"] == 1.0
    assert figures["share_of_limit"] == pytest.approx(80.0 / 400.0, rel=0.1)


def run(program: list[str], driver: dict[str, str], **simulated: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(ROOT), str(ROOT / "scripts")])
    environment = {**os.environ, **driver, "PYTHONPATH": path, **simulated}
    return subprocess.run(
        [sys.executable, *program], env=environment, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )


def test_a_board_that_is_divided_is_refused_with_the_reason(driver: dict[str, str], tmp_path: Path) -> None:
    figures = tmp_path / "figures.json"
    arguments = ["-m", "benchmarks.gpu.child", "probes.identity", "--rehearsal"]
    done = run(arguments, driver, SIM_NVML_MIG="1", **{FIGURES: str(figures)})
    answers: dict[str, Any] = json.loads(figures.read_text(encoding="utf-8"))
    assert done.returncode == 1
    assert "a MIG instance has no energy counter of its own" in answers["board"]["error"]


THROTTLED = """
import json, pathlib, threading, time
from benchmarks.gpu.probes import nvml_calls
orders = pathlib.Path({orders!r})
def later():
    time.sleep(0.3)
    orders.write_text("0 throttle 4\\n0 throttled_power 500\\n")
orders.write_text("0 throttle 4\\n")
nvml_calls.first_visible()
thread = threading.Thread(target=later)
thread.start()
print(json.dumps(nvml_calls.throttling(1.0)))
"""


def test_the_rise_of_a_counter_of_throttling_is_beside_the_share_of_samples(
    driver: dict[str, str], tmp_path: Path
) -> None:
    orders = tmp_path / "orders"
    done = run(["-c", THROTTLED.format(orders=str(orders))], driver, SIM_NVML_CONTROL=str(orders))
    assert done.returncode == 0, done.stderr
    throttling = json.loads(done.stdout)
    assert throttling["sw_power_cap"]["share_of_samples"] == 1.0
    assert throttling["sw_power_cap"]["counter_per_s"] == pytest.approx(0.5e9, rel=0.1), (
        "0.5 s in a second, in nanoseconds"
    )
    assert throttling["sw_thermal_slowdown"] == {"counter_per_s": 0.0, "share_of_samples": 0.0}


def test_counters_of_throttling_that_the_driver_lacks_are_not_an_error(driver: dict[str, str], tmp_path: Path) -> None:
    orders = tmp_path / "orders"
    orders.write_text("0 throttle 4\n0 reason_counters 3\n", encoding="utf-8")
    program = "import json; from benchmarks.gpu.probes import nvml_calls; print(json.dumps(nvml_calls.throttling(0.2)))"
    done = run(["-c", program], driver, SIM_NVML_CONTROL=str(orders))
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["sw_power_cap"] == {"counter_per_s": None, "share_of_samples": 1.0}

"""The real codecarbon on this machine: estimates that are well defined, quiet and labelled."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from energy.simulated_gpus import Run

SOURCE = "estimated:codecarbon"


def codecarbon(*windows: dict[str, Any], **settings: Any) -> dict[str, Any]:
    return {"meters": ["codecarbon"], "windows": list(windows), **settings}


def by_domain(window: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {entry["domain"]: entry for entry in window["entries"]}


def test_the_same_sleep_gives_the_same_constant_power(machine: Run) -> None:
    answer = machine(codecarbon({"seconds": 0.5}, {"seconds": 1.0}, {"seconds": 0.25}))
    powers = [by_domain(window)["dram"]["energy_j"] / window["duration"] for window in answer["windows"]]
    assert powers[0] >= 3
    assert powers == pytest.approx([powers[0]] * 3, rel=1e-3)


def test_short_windows_are_not_zero(machine: Run) -> None:
    answer = machine(codecarbon({"seconds": 0.02}, {"seconds": 0.5}))
    for window in answer["windows"]:
        for entry in window["entries"]:
            assert entry["energy_j"] > 0


def test_the_uncertainty_is_that_of_an_estimate(machine: Run) -> None:
    answer = machine(codecarbon({"seconds": 0.2}))
    for domain, entry in by_domain(answer["windows"][0]).items():
        assert entry["source"] == SOURCE
        assert entry["standard_uncertainty_j"] == pytest.approx(entry["energy_j"] / math.sqrt(3))
        assert "codecarbon 3." in entry["uncertainty_basis"]
        assert {"dram": "RAM: a constant"}.get(domain, domain.upper()) in entry["uncertainty_basis"]
    primary = answer["windows"][0]["primary"]
    entries = answer["windows"][0]["entries"]
    assert primary["energy_j"] == pytest.approx(sum(entry["energy_j"] for entry in entries))
    assert primary["standard_uncertainty_j"] == pytest.approx(
        math.hypot(*(e["standard_uncertainty_j"] for e in entries))
    )
    assert primary["source"] == SOURCE


def test_its_own_settings_files_change_nothing_and_are_pointed_out(machine: Run, tmp_path: Path) -> None:
    plain = machine(codecarbon({"seconds": 0.2}))
    (tmp_path / ".codecarbon.config").write_text(
        "[codecarbon]\npue = 3.0\nsave_to_api = true\napi_endpoint = http://127.0.0.1:9\n"
    )
    answer = machine(codecarbon({"seconds": 0.2}), CODECARBON_FORCE_RAM_POWER="500", CODECARBON_FORCE_CPU_POWER="999")
    (warning,) = answer["warnings"]
    assert warning["code"] == "codecarbon-settings-ignored"
    assert "force_ram_power" in warning["message"] and "pue" in warning["message"]
    assert answer["describe"]["devices"] == plain["describe"]["devices"]
    powers = [
        by_domain(reply["windows"][0])["dram"]["energy_j"] / reply["windows"][0]["duration"]
        for reply in (plain, answer)
    ]
    assert powers[1] == pytest.approx(powers[0], rel=1e-3)
    assert answer["new_files"] == []


RIGGED = """
import sys
from types import SimpleNamespace
sys.path.insert(0, {scripts!r})
from llenergymeasure.energy import MeterUnavailable, open_meters
import codecarbon.external.{module} as hardware

def fail(*_, **__):
    raise OSError("sensor gone")

settings = SimpleNamespace(meters=["codecarbon"], power_interval_s=0.05, boundary=None)
{body}
"""

LOAD_AROUND_A_WINDOW = """
import psutil
busy_s, idle_s = 0.0, 0.0
real = type(psutil.cpu_times())
psutil.cpu_times = lambda: real(*[0.0] * len(real._fields))._replace(user=busy_s, idle=idle_s)
meters = open_meters(settings)
print({each["domain"]: each["how"] for each in meters.describe()["devices"]}["cpu"])
for in_window in ((0, 4), (2, 2), (4, 0), (0, 4)):
    busy_s += 100
    with meters.window("generate", lambda: None) as window:
        busy_s += in_window[0]
        idle_s += in_window[1]
    print(next(entry.energy_j for entry in window.entries if entry.domain == "cpu") / window.duration_s)
"""

BREAKS_IN_A_WINDOW = """
meters = open_meters(settings)
hardware.RAM.measure_power_and_energy = fail
with meters.window("generate", lambda: None) as window:
    pass
for entry in window.entries:
    print(entry.domain, entry.energy_j, entry.reason)
"""

ATTRIBUTES_NOTHING = """
meters = open_meters(settings)
hardware.RAM._calculate_ram_power = fail  # codecarbon logs this and goes on with 0 W
with meters.window("generate", lambda: None) as window:
    pass
for entry in window.entries:
    print(entry.domain, entry.energy_j, entry.reason)
"""

BREAKS_AT_THE_START = """
hardware.RAM.__init__ = fail
try:
    open_meters(settings)
except MeterUnavailable as refusal:
    print(refusal)
"""


def run_rigged(body: str) -> list[str]:
    scripts = str(Path(__file__).parents[3] / "scripts")
    code = RIGGED.format(scripts=scripts, module="ram", body=body)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stderr == ""
    return done.stdout.splitlines()


def test_cpu_energy_follows_the_load_of_the_window_and_of_nothing_before_it() -> None:
    how, *powers = run_rigged(LOAD_AROUND_A_WINDOW)
    if "mode cpu_load: " not in how:
        pytest.skip(f"this machine's CPU is not estimated from its load: {how}")
    tdp_w = float(how.split("cpu_load: ")[1].split(" W")[0])
    expected = [tdp_w * (0.1 + 0.9 * load**3) for load in (0, 0.5, 1, 0)]
    assert [float(power) for power in powers] == pytest.approx(expected, rel=1e-4)


def test_a_failure_in_a_window_is_a_reason() -> None:
    ram, cpu = run_rigged(BREAKS_IN_A_WINDOW)
    assert ram == "dram None codecarbon failed: OSError: sensor gone"
    assert cpu.startswith("cpu ") and "None" not in cpu.split()[1]


def test_nothing_attributed_is_none_with_codecarbons_own_words() -> None:
    ram, _ = run_rigged(ATTRIBUTES_NOTHING)
    assert ram.startswith("dram None codecarbon attributes nothing to this window")
    assert "sensor gone" in ram


def test_a_failure_at_the_start_says_what_to_change() -> None:
    (line,) = run_rigged(BREAKS_AT_THE_START)
    assert line.startswith("energy.meters: codecarbon cannot work here:")
    assert "sensor gone" in line

"""Runs in a process of its own, so that the real pynvml binding loads whichever library the test put in its way.

    python scenario.py '{"meters": ["nvml"], "windows": [{"seconds": 1.0}]}'

prints, as JSON, what the meters said. A window sleeps, and may give orders to the simulated library
halfway with {"control": "..."}, move the wall clock with {"wall_clock_step_s": ...} or kill the sampler's thread with
{"break_sampler": true}.
"""

from __future__ import annotations

import ctypes
import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from virtual_clock import VirtualClock

from llenergymeasure.config import EnergyConfig
from llenergymeasure.energy import (
    MeterSet,
    MeterUnavailable,
    PhaseEnergy,
    open_meters,
    own_processes,
    primary_energy,
    rapl_meter,
)
from llenergymeasure.energy.clock import CLOCK, Clock


def the_clock() -> Clock:
    """The real one, or where the environment says SIM_VIRTUAL a virtual one that leads the simulated library too."""
    if "SIM_VIRTUAL" not in os.environ:
        return CLOCK
    library = ctypes.CDLL("libnvidia-ml.so.1")
    library.sim_set_time.argtypes = [ctypes.c_double]
    return VirtualClock(1000.0, library.sim_set_time)


def spend(window: dict[str, Any], clock: Clock) -> None:
    clock.sleep(window["seconds"] / 2)
    if "control" in window:
        Path(os.environ["SIM_NVML_CONTROL"]).write_text(window["control"], encoding="ascii")
    with (
        step_of_the_wall_clock(window.get("wall_clock_step_s", 0.0)),
        broken_sampler(window.get("break_sampler", False)),
    ):
        clock.sleep(window["seconds"] / 2)


@contextmanager
def step_of_the_wall_clock(seconds: float) -> Iterator[None]:
    """The wall clock as Python tells it moves; time.perf_counter does not."""
    real = time.time, time.time_ns
    time.time = lambda: real[0]() + seconds
    time.time_ns = lambda: real[1]() + int(seconds * 1e9)
    try:
        yield
    finally:
        time.time, time.time_ns = real


@contextmanager
def broken_sampler(broken: bool) -> Iterator[None]:
    """The sampler's thread meets an error that nobody foresaw."""
    from llenergymeasure.energy.nvml_device import NvmlDevice

    real = NvmlDevice.sample
    if broken:
        NvmlDevice.sample = None  # type: ignore[assignment, method-assign]
    try:
        yield
    finally:
        NvmlDevice.sample = real  # type: ignore[method-assign]


def measure(meters: MeterSet, order: dict[str, Any]) -> dict[str, Any]:
    synchronized: list[float] = []
    clock = meters.clock
    entered_s = clock.now_s()
    with meters.window(order.get("phase", "generate"), lambda: synchronized.append(clock.now_s())) as window:
        began_s, cpu_s = clock.now_s(), time.process_time()
        spend(order, clock)
        cpu_s = time.process_time() - cpu_s
    return {
        "entries": [entry.to_dict() for entry in window.entries],
        "primary": as_dict(primary_energy(window.entries, window.phase)),
        "intervals": [asdict(each) for each in window.intervals],
        # Other tests keep this machine busy; test_host_watch.py has the finding that says so.
        "foreign": [each.to_dict() for each in window.findings if each.code == "foreign-cpu-load"],
        "findings": [each.to_dict() for each in window.findings if each.code != "foreign-cpu-load"],
        "facts": window.facts,
        "start": window.start_monotonic_s,
        "end": window.end_monotonic_s,
        "duration": window.duration_s,
        "entered": entered_s,
        "began": began_s,
        "left": clock.now_s(),
        "cpu": cpu_s,
        "synchronized": synchronized,
        "trace": meters.trace(),
        "trace_again": meters.trace(),
    }


def as_dict(found: PhaseEnergy) -> dict[str, Any]:
    return {
        "energy_j": found.energy_j,
        "standard_uncertainty_j": found.standard_uncertainty_j,
        "expanded_uncertainty_j": found.expanded_uncertainty_j,
        "source": found.source,
        "reason": found.reason,
    }


def run(order: dict[str, Any]) -> dict[str, Any]:
    settings = {key: order[key] for key in ("meters", "power_interval_s") if key in order}
    # model_construct: an empty list of meters is refused in a study, and must still not break a window.
    config = EnergyConfig.model_construct(**settings)
    before = set(Path.cwd().iterdir())
    try:
        meters = open_meters(config, the_clock())
    except MeterUnavailable as refusal:
        return {"unavailable": str(refusal)}
    answer: dict[str, Any] = {"windows": []}
    try:
        for order_of_window in order["windows"]:
            if "restrict" in order_of_window:
                meters.restrict(order_of_window["restrict"])
            answer["windows"].append(measure(meters, order_of_window))
        answer["temperatures"] = meters.temperatures_c()
        answer["describe"] = meters.describe()
        answer["warnings"] = meters.warnings
    finally:
        meters.close()
        meters.close()
    answer["new_files"] = [str(path) for path in set(Path.cwd().iterdir()) - before]
    answer["torch"] = "torch" in sys.modules
    return answer


if __name__ == "__main__":
    if "FAKE_PID_NAMESPACE" in os.environ:
        own_processes.NAMESPACE = Path(os.environ["FAKE_PID_NAMESPACE"])
    if "FAKE_POWERCAP" in os.environ:
        rapl_meter.POWERCAP = Path(os.environ["FAKE_POWERCAP"])
    print(json.dumps(run(json.loads(sys.argv[1])), allow_nan=False))

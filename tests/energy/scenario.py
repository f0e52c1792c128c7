"""Runs in a process of its own, so that the real pynvml binding loads whichever library the test put in its way.

    python scenario.py '{"meters": ["nvml"], "windows": [{"seconds": 1.0}]}'

prints, as JSON, what the meters said. A window sleeps, and may give orders to the simulated library
halfway with {"control": "..."}, move the wall clock with {"wall_clock_step_s": ...} or end the sampler's thread or
process with {"break_sampler": true}. With {"around_s": ...} it also sleeps so long before its start and after its end.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pynvml
from virtual_clock import VirtualClock

if "OLDER_BINDING" in os.environ:
    # Names that older releases of nvidia-ml-py lack, and two more that may be lacking.
    for name in list(vars(pynvml)):
        new = ("nvmlClocksEventReason", "NVML_FI_DEV_CLOCKS_EVENT", "NVML_FI_DEV_POWER_", "NVML_POWER_SCOPE_")
        others = ("nvmlDeviceGetTemperatureV", "nvmlDeviceGetApplicationsClock", "nvmlDeviceGetTotalEccErrors")
        if name.startswith(new) or name in others:
            delattr(pynvml, name)

if "TOY_METER" in os.environ:
    import toy_meter

    toy_meter.register()

from llenergymeasure.config import EnergyConfig
from llenergymeasure.energy import Around, MeterSet, MeterUnavailable, PhaseEnergy, open_meters, primary_energy
from llenergymeasure.energy.clock import CLOCK, Clock
from llenergymeasure.energy.meters.nvml import own_processes
from llenergymeasure.energy.meters.rapl import meter as rapl_meter

KEPT: list[object] = []  # what the library calls back


def the_clock() -> Clock:
    """The real one, or where the environment says SIM_VIRTUAL a virtual one that leads the simulated library too."""
    if "SIM_VIRTUAL" not in os.environ:
        return CLOCK
    library = ctypes.CDLL("libnvidia-ml.so.1")
    library.sim_set_time.argtypes = [ctypes.c_double]
    clock = VirtualClock(1000.0, library.sim_set_time)
    KEPT.append(ctypes.CFUNCTYPE(None, ctypes.c_double)(clock.sleep))
    library.sim_set_sleep(KEPT[-1])
    return clock


def spend(window: dict[str, Any], clock: Clock) -> None:
    clock.sleep(window["seconds"] / 2)
    if "list_me" in window:
        Path(os.environ["SIM_NVML_CONTROL"]).write_text(
            f"{window['list_me']}0 process {os.getpid()}\n", encoding="ascii"
        )
    if "control" in window:
        Path(os.environ["SIM_NVML_CONTROL"]).write_text(window["control"], encoding="ascii")
    with (
        step_of_the_wall_clock(window.get("wall_clock_step_s", 0.0)),
        broken_sampler(window.get("break_sampler", False)),
    ):
        clock.sleep(window["seconds"] / 2)


@contextmanager
def step_of_the_wall_clock(seconds: float) -> Iterator[None]:
    """The wall clock as Python reports it moves; time.perf_counter does not."""
    real = time.time, time.time_ns
    time.time = lambda: real[0]() + seconds
    time.time_ns = lambda: real[1]() + int(seconds * 1e9)
    try:
        yield
    finally:
        time.time, time.time_ns = real


@contextmanager
def broken_sampler(broken: bool) -> Iterator[None]:
    """The sampler's process is killed, or its thread meets an error that nobody foresaw."""
    from llenergymeasure.energy.meters.nvml.device import NvmlDevice

    if broken:
        for child in children():
            os.kill(child, signal.SIGKILL)
            while state_of(child) not in ("Z", ""):
                time.sleep(0.001)

    real = NvmlDevice.sample
    if broken:
        NvmlDevice.sample = None  # type: ignore[assignment, method-assign]
    try:
        yield
    finally:
        NvmlDevice.sample = real  # type: ignore[method-assign]


def children() -> list[int]:
    """The processes that this one started."""
    pids = [int(folder.name) for folder in Path("/proc").iterdir() if folder.name.isdigit()]
    return [pid for pid in pids if (fields := stat_of(pid)) and int(fields[1]) == os.getpid()]


def state_of(pid: int) -> str:
    fields = stat_of(pid)
    return fields[0] if fields else ""


def stat_of(pid: int) -> list[str]:
    """The fields of /proc/<pid>/stat after the command's name; none of a process that is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
    except OSError:
        return []


def processor_ticks(pid: int) -> int:
    fields = stat_of(pid)
    return int(fields[11]) + int(fields[12])


def draw(order: dict[str, Any], clock: Clock, around_s: float) -> None:
    """With {"watts": ...} the first board draws that from now on, until the window and the work around it are over."""
    if "watts" in order:
        library = ctypes.CDLL("libnvidia-ml.so.1")
        idle_w, busy_w, start_s = float(os.environ["SIM_NVML_POWER_W"]), float(order["watts"]), clock.now_s()
        end_s = start_s + 2 * around_s + order["seconds"]
        times_s = [start_s - 60, start_s - 1e-6, start_s, end_s, end_s + 1e-6, end_s + 60]
        array = ctypes.c_double * len(times_s)
        library.sim_set_trace(0, len(times_s), array(*times_s), array(idle_w, idle_w, busy_w, busy_w, idle_w, idle_w))
    clock.sleep(around_s)


def orphan_of(order: dict[str, Any]) -> dict[str, Any]:
    """How long the sampler outlives a measuring process that is killed in an open window."""
    code = "import json, scenario, sys, time; scenario.hold_a_window(json.loads(sys.argv[1]))"
    command = [sys.executable, "-c", code, json.dumps(order)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=Path(__file__).parent) as parent:
        assert parent.stdout is not None
        sampler = int(parent.stdout.readline())
        parent.kill()
        killed_s = time.monotonic()
    while state_of(sampler) not in ("Z", "") and time.monotonic() < killed_s + 10:
        time.sleep(0.01)
    return {"sampler_gone_after_s": time.monotonic() - killed_s}


def hold_a_window(order: dict[str, Any]) -> None:
    meters = open_meters(EnergyConfig.model_construct(meters=order["meters"]))
    with meters.window("generate", lambda: None):
        print(*children(), flush=True)
        time.sleep(60)


def measure(meters: MeterSet, order: dict[str, Any]) -> dict[str, Any]:
    synchronized: list[float] = []
    clock = meters.clock
    entered_s = clock.now_s()
    around_s = order.get("around_s", 0.0)
    around = Around(lambda: draw(order, clock, around_s), lambda: clock.sleep(around_s)) if around_s else None
    phase = order.get("phase", "generate")
    with meters.window(phase, lambda: synchronized.append(clock.now_s()), around) as window:
        began_s, cpu_s = clock.now_s(), time.process_time()
        if not around_s:
            draw(order, clock, 0.0)
        spend(order, clock)
        cpu_s = time.process_time() - cpu_s
        threads = [thread.name for thread in threading.enumerate()]
    return {
        "entries": [entry.to_dict() for entry in window.entries],
        "primary": as_dict(primary_energy(window.entries, window.phase)),
        "intervals": [asdict(interval) for interval in window.intervals],
        # Other tests keep this machine busy; test_host_watch.py has the finding that says so.
        "foreign": [finding.to_dict() for finding in window.findings if finding.code == "foreign-cpu-load"],
        "findings": [finding.to_dict() for finding in window.findings if finding.code != "foreign-cpu-load"],
        "facts": window.facts,
        "start": window.start_monotonic_s,
        "end": window.end_monotonic_s,
        "duration": window.duration_s,
        "entered": entered_s,
        "began": began_s,
        "left": clock.now_s(),
        "cpu": cpu_s,
        "threads": threads,
        "synchronized": synchronized,
        "trace": meters.trace(),
        "trace_again": meters.trace(),
    }


def as_dict(phase_energy: PhaseEnergy) -> dict[str, Any]:
    return {
        "energy_j": phase_energy.energy_j,
        "standard_uncertainty_j": phase_energy.standard_uncertainty_j,
        "expanded_uncertainty_j": phase_energy.expanded_uncertainty_j,
        "source": phase_energy.source,
        "reason": phase_energy.reason,
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
        if "idle_s" in order:
            (sampler,) = children()
            ticks_before = processor_ticks(sampler)
            time.sleep(order["idle_s"])
            answer["sampler_idle_cpu_s"] = (processor_ticks(sampler) - ticks_before) / os.sysconf("SC_CLK_TCK")
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
    asked = json.loads(sys.argv[1])
    print(json.dumps(orphan_of(asked) if "orphan" in asked else run(asked), allow_nan=False))

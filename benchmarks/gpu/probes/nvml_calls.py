"""How long NVML's functions take to answer, and how often counter and power change: idle, and under load."""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import pynvml

from benchmarks.gpu.probes.board import counter_j, first_visible, power_source
from benchmarks.gpu.probes.work import work
from benchmarks.gpu.scale import Scale
from llenergymeasure.energy.meters.nvml.power import AVERAGE, INSTANT, MODULE_SCOPE, field_power_w
from llenergymeasure.energy.meters.nvml.throttle import REASON_BITS, read_counters

# Slow calls that no sample waits for: made only a few times.
SLOW = frozenset({"processes", "ecc_errors"})
# The calls of each sample of the pipeline.
SAMPLED = ("counter", "power")
SAMPLE_S = 0.02
LOOKED_AT_S = 2.0
# Rows of the products under whose load the calls are timed: as much as the board can do.
LOAD_SIDE = 8192


def calls() -> dict[str, Callable[[], Any]]:
    """By name, what the pipeline asks NVML, and what it would like to know whether the driver answers."""
    handle = first_visible()
    return {
        "counter": counter_j,
        "power": power_source().read,
        "power_usage": lambda: pynvml.nvmlDeviceGetPowerUsage(handle),
        "average_power": lambda: field_power_w(handle, AVERAGE),
        "module_power": lambda: field_power_w(handle, INSTANT, MODULE_SCOPE),
        "temperature": lambda: pynvml.nvmlDeviceGetTemperatureV(handle, pynvml.NVML_TEMPERATURE_GPU),
        "sm_clock": lambda: pynvml.nvmlDeviceGetClockInfo(handle, pynvml.NVML_CLOCK_SM),
        "reasons": lambda: pynvml.nvmlDeviceGetCurrentClocksEventReasons(handle),
        "ecc_errors": lambda: pynvml.nvmlDeviceGetTotalEccErrors(handle, 1, 0),
        "limit": lambda: pynvml.nvmlDeviceGetEnforcedPowerLimit(handle),
        "processes": lambda: len(pynvml.nvmlDeviceGetComputeRunningProcesses_v3(handle)),
        "throttle_counters": lambda: read_counters(handle),
    }


def latencies(many: int) -> dict[str, Any]:
    """Shortest, median and longest call of each function in milliseconds, or what the driver says instead."""
    table: dict[str, Any] = {}
    for name, call in calls().items():
        try:
            took = [_timed_ms(call) for _ in range(5 if name in SLOW else many)]
        except (pynvml.NVMLError, AttributeError) as refusal:
            table[name] = {"refused": str(refusal)}
        else:
            values = (min(took), statistics.median(took), max(took))
            table[name] = dict(zip(("least_ms", "median_ms", "most_ms"), (round(v, 4) for v in values), strict=True))
    return table


def _timed_ms(call: Callable[[], Any]) -> float:
    begun_s = time.perf_counter()
    call()
    return (time.perf_counter() - begun_s) * 1e3


def steps(seconds: float) -> dict[str, Any]:
    """Times between two changes of counter and power, both polled as fast as they answer."""
    reads = {name: call for name, call in calls().items() if name in SAMPLED}
    changed_s: dict[str, list[float]] = {name: [] for name in reads}
    last: dict[str, float] = {}
    end_s = time.perf_counter() + seconds
    while time.perf_counter() < end_s:
        for name, read in reads.items():
            before_s = time.perf_counter()
            value = read()
            if name in last and value != last[name]:
                changed_s[name].append((before_s + time.perf_counter()) / 2)
            last[name] = value
    return {name: gaps(times) for name, times in changed_s.items()}


def gaps(times_s: Sequence[float]) -> dict[str, Any]:
    """Number, median and relative spread (half of the middle 80 %) of the intervals between successive times."""
    between = sorted((later - earlier) * 1e3 for earlier, later in itertools.pairwise(times_s))
    if not between:
        return {"steps": len(times_s), "median_ms": None, "spread": None}
    median = statistics.median(between)
    tenth = len(between) // 10
    return {
        "steps": len(times_s),
        "median_ms": round(median, 3),
        "spread": round((between[-1 - tenth] - between[tenth]) / 2 / median, 4),
    }


def throttling(seconds: float) -> dict[str, Any]:
    """By reason that holds clocks down, how much its counter rises per second, and the share of samples with its bit.

    Where a reason holds all the time, a rise of 1e9 per second says that the counter is in nanoseconds, of 1e6 that it
    is in microseconds.
    """
    handle = first_visible()
    try:
        before, begun_s = read_counters(handle), time.perf_counter()
        samples = []
        while time.perf_counter() < begun_s + seconds:
            samples.append(int(pynvml.nvmlDeviceGetCurrentClocksEventReasons(handle)))
            time.sleep(SAMPLE_S)
        after, took_s = read_counters(handle), time.perf_counter() - begun_s
    except (pynvml.NVMLError, AttributeError) as refusal:
        return {"refused": str(refusal)}
    # They are read as nanoseconds: what is asked here is whether they are.
    rises = {name: round((after[name] - before[name]) * 1e9 / took_s, 1) for name in before if name in after}
    return {
        name: {
            "counter_per_s": rises.get(name),
            "share_of_samples": round(sum(bool(sample & bit) for sample in samples) / len(samples), 3),
        }
        for name, bit in REASON_BITS.items()
    }


def idle(scale: Scale) -> dict[str, Any]:
    """Before this process has a context on the board."""
    return {"calls": latencies(scale.latency_calls), "steps": steps(min(LOOKED_AT_S, scale.idle_s))}


def loaded(scale: Scale) -> dict[str, Any]:
    busy = work(scale, LOAD_SIDE)
    busy.start()
    try:
        time.sleep(scale.idle_s / 2)
        return {
            "calls": latencies(scale.latency_calls),
            "steps": steps(min(LOOKED_AT_S, scale.busy_s)),
            "throttling": throttling(min(LOOKED_AT_S, scale.busy_s)),
        }
    finally:
        busy.finish()


QUESTIONS = {"idle": idle, "loaded": loaded}

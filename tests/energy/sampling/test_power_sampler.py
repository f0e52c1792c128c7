"""The sampler keeps everything and reports its troubles, in a thread as in a process of its own."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable

import pytest
from energy.simulated_gpus import Run

from llenergymeasure.energy.clock import CLOCK
from llenergymeasure.energy.integration.ticks import CounterReading
from llenergymeasure.energy.sampling.loop import PowerReading
from llenergymeasure.energy.sampling.power_sampler import PowerSampler
from llenergymeasure.energy.sampling.thread import SamplerThread
from llenergymeasure.energy.warning_log import WarningLog

INTERVAL_S = 0.01


class Sensor:
    def __init__(self, read: Callable[[], PowerReading]) -> None:
        self.uuid = "GPU-a"
        self.sample = read

    def count(self) -> CounterReading | None:
        return None

    def refresh(self) -> None: ...


def watts() -> PowerReading:
    return PowerReading(power_w=50.0)


def sampler(log: WarningLog) -> PowerSampler:
    return PowerSampler(SamplerThread(INTERVAL_S, CLOCK), INTERVAL_S, "measured:nvml-power", log, CLOCK)


def test_a_sampler_that_dies_is_reported_and_lives_again_in_the_next_window() -> None:
    calls = 0

    def dies_at_the_third() -> PowerReading:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise RuntimeError("sensor thread gone")
        return watts()

    log = WarningLog()
    sampling = sampler(log)
    sampling.start([Sensor(dies_at_the_third)])
    time.sleep(0.1)
    assert len(sampling.stop("generate", 0, math.inf).samples) == 2
    (warning,) = log.warnings
    assert warning["code"] == "power-sampler-died"
    assert "generate" in warning["message"] and "sensor thread gone" in warning["message"]

    sampling.start([Sensor(watts)])
    time.sleep(0.1)
    assert len(sampling.stop("generate", 0, math.inf).samples) > 5
    assert len(log.warnings) == 1
    sampling.close()


def test_a_sampler_that_hangs_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llenergymeasure.energy.sampling.power_sampler.STALL_S", 0.1)
    release = threading.Event()

    def hangs() -> PowerReading:
        release.wait(5)
        return watts()

    log = WarningLog()
    sampling = sampler(log)
    sampling.start([Sensor(hangs)])
    time.sleep(0.3)
    assert sampling.stop("generate", 0, math.inf).samples == []
    release.set()
    assert [warning["code"] for warning in log.warnings] == ["power-sampler-stalled"]
    sampling.close()


def test_samples_belong_to_their_window() -> None:
    sampling = sampler(WarningLog())
    for phase in ("warmup", "generate"):
        sampling.start([Sensor(watts)])
        start_s = time.perf_counter()
        time.sleep(0.05)
        sampling.stop(phase, start_s, math.inf)
        time.sleep(0.05)
    rows = sampling.trace()
    warmup = [row["monotonic_s"] for row in rows if row["phase"] == "warmup"]
    generate = [row["monotonic_s"] for row in rows if row["phase"] == "generate"]
    assert len(warmup) > 2 and len(generate) > 2
    assert min(generate) - max(warmup) > 0.04
    assert sampling.trace() == []
    sampling.close()


def test_a_reading_that_outlives_its_window_is_not_given_to_the_next() -> None:
    release = threading.Event()

    def late() -> PowerReading:
        release.wait(5)
        return PowerReading(power_w=999.0)

    sampling = sampler(WarningLog())
    sampling.start([Sensor(late)])
    time.sleep(0.05)
    sampling.stop("load", 0, math.inf)
    threading.Timer(0.1, release.set).start()
    sampling.start([Sensor(watts)])
    time.sleep(0.1)
    powers = {sample.reading.power_w for sample in sampling.stop("generate", 0, math.inf).samples}
    assert powers == {50.0}
    sampling.close()


def test_closing_ends_the_thread() -> None:
    sampling = sampler(WarningLog())
    sampling.start([Sensor(watts)])
    sampling.stop("generate", 0, math.inf)
    sampling.close()
    sampling.close()
    assert "power-sampler" not in [thread.name for thread in threading.enumerate()]


def test_the_boards_are_read_by_a_process_of_its_own(gpu_machine: Run) -> None:
    """Calls of 5 ms take nothing from the measuring process, and no thread of it asks for the interpreter's lock."""
    answer = gpu_machine({"meters": ["nvml"], "windows": [{"seconds": 1.0}]}, latency_s="0.005")
    (window,) = answer["windows"]
    assert window["threads"] == ["MainThread"]
    assert window["cpu"] < 0.02
    assert len(window["trace"]) > 10


def test_a_process_that_is_killed_is_reported_and_replaced(gpu_machine: Run) -> None:
    order = {"meters": ["nvml"], "windows": [{"seconds": 1.0, "break_sampler": True}, {"seconds": 0.5}]}
    answer = gpu_machine(order)
    first, second = answer["windows"]
    assert [warning["code"] for warning in answer["warnings"]] == ["power-sampler-died"]
    assert "code -9" in answer["warnings"][0]["message"]
    assert [finding["code"] for finding in first["findings"]] == ["trace-incomplete"]
    # What it had read is there, and the edges were read by the measuring process.
    assert first["trace"][-1]["monotonic_s"] < first["start"] + 0.8
    assert first["entries"][0]["energy_j"] == pytest.approx(200 * first["duration"], rel=0.12)
    assert second["findings"] == []
    assert second["entries"][0]["energy_j"] == pytest.approx(200 * second["duration"], rel=0.05)
    assert second["trace"][-1]["monotonic_s"] > second["end"] - 0.3


def test_the_process_ends_with_a_parent_that_was_killed(gpu_machine: Run) -> None:
    answer = gpu_machine({"meters": ["nvml"], "windows": [{"seconds": 0.2}], "orphan": True})
    assert answer["sampler_gone_after_s"] < 2.0


def test_between_windows_the_process_takes_no_processor_time(gpu_machine: Run) -> None:
    answer = gpu_machine({"meters": ["nvml"], "windows": [{"seconds": 0.2}], "idle_s": 1.0})
    assert answer["sampler_idle_cpu_s"] == 0.0

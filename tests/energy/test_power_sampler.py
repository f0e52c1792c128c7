"""The sampler's thread: it keeps everything, and its troubles are told."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable

import pytest

from llenergymeasure.energy.clock import CLOCK
from llenergymeasure.energy.power_sampler import PowerReading, PowerSampler
from llenergymeasure.energy.warning_log import WarningLog


class Sensor:
    def __init__(self, read: Callable[[], PowerReading]) -> None:
        self.uuid = "GPU-a"
        self.sample = read


def watts() -> PowerReading:
    return PowerReading(power_w=50.0)


def test_a_sampler_that_dies_is_told_and_lives_again_in_the_next_window() -> None:
    calls = 0

    def dies_at_the_third() -> PowerReading:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise RuntimeError("sensor thread gone")
        return watts()

    log = WarningLog()
    sampler = PowerSampler(0.01, "measured:nvml-power", log, CLOCK)
    sampler.start([Sensor(dies_at_the_third)])
    time.sleep(0.1)
    assert len(sampler.stop("generate", math.inf)) == 2
    (warning,) = log.warnings
    assert warning["code"] == "power_sampler_died"
    assert "generate" in warning["message"] and "sensor thread gone" in warning["message"]

    sampler.start([Sensor(watts)])
    time.sleep(0.1)
    assert len(sampler.stop("generate", math.inf)) > 5
    assert len(log.warnings) == 1
    sampler.close()


def test_a_sampler_that_hangs_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llenergymeasure.energy.power_sampler.STALL_S", 0.1)
    release = threading.Event()

    def hangs() -> PowerReading:
        release.wait(5)
        return watts()

    log = WarningLog()
    sampler = PowerSampler(0.01, "measured:nvml-power", log, CLOCK)
    sampler.start([Sensor(hangs)])
    time.sleep(0.3)
    assert sampler.stop("generate", math.inf) == []
    release.set()
    assert [warning["code"] for warning in log.warnings] == ["power_sampler_stalled"]
    sampler.close()


def test_samples_belong_to_their_window() -> None:
    sampler = PowerSampler(0.01, "measured:nvml-power", WarningLog(), CLOCK)
    for phase in ("warmup", "generate"):
        sampler.start([Sensor(watts)])
        time.sleep(0.05)
        sampler.stop(phase, math.inf)
        time.sleep(0.05)
    rows = sampler.trace()
    warmup = [row["monotonic_s"] for row in rows if row["phase"] == "warmup"]
    generate = [row["monotonic_s"] for row in rows if row["phase"] == "generate"]
    assert len(warmup) > 2 and len(generate) > 2
    assert min(generate) - max(warmup) > 0.04
    assert sampler.trace() == []
    sampler.close()


def test_a_reading_that_outlives_its_window_is_not_given_to_the_next() -> None:
    release = threading.Event()

    def late() -> PowerReading:
        release.wait(5)
        return PowerReading(power_w=999.0)

    sampler = PowerSampler(0.01, "measured:nvml-power", WarningLog(), CLOCK)
    sampler.start([Sensor(late)])
    time.sleep(0.05)
    sampler.stop("load", math.inf)
    sampler.start([Sensor(watts)])
    release.set()
    time.sleep(0.1)
    powers = {sample.reading.power_w for sample in sampler.stop("generate", math.inf)}
    assert powers == {50.0}
    sampler.close()


def test_closing_ends_the_thread() -> None:
    sampler = PowerSampler(0.01, "measured:nvml-power", WarningLog(), CLOCK)
    sampler.start([Sensor(watts)])
    sampler.stop("generate", math.inf)
    sampler.close()
    sampler.close()
    assert "power-sampler" not in [thread.name for thread in threading.enumerate()]

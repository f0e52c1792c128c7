"""Warm-up until latency and temperature are flat: a trend counts, not a range."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import pytest

from llenergymeasure.config import WarmupConfig
from llenergymeasure.measurement.warmth.warming import Warming, is_flat, is_thermally_flat, warm_up


def giving(*seconds: float) -> Callable[[], float]:
    """A pass that takes these times one after the other, then the last one for ever."""
    left = list(seconds)
    return lambda: left.pop(0) if len(left) > 1 else left[0]


def no_sensor() -> tuple[float, float | None]:
    return 0.0, None


class Heating:
    """A board of one thermal mass under load: from 40 to 77 °C with this time constant, read in whole degrees."""

    def __init__(self, tau_s: float, *, pass_s: float = 1.0, drift_c_per_s: float = 0.0) -> None:
        self.now_s = 0.0
        self._tau_s, self._pass_s, self._drift = tau_s, pass_s, drift_c_per_s

    @property
    def true_c(self) -> float:
        return 77 - 37 * math.exp(-self.now_s / self._tau_s) + self._drift * self.now_s

    def run_pass(self) -> float:
        self.now_s += self._pass_s
        return self._pass_s

    def reading(self) -> tuple[float, float | None]:
        return self.now_s, float(round(self.true_c))


def test_warm_up_continues_until_the_last_latencies_are_flat() -> None:
    warmup = WarmupConfig(cv_threshold=0.05, cv_window=4)
    warming = warm_up(giving(9, 5, 2, 1.0, 1.01, 0.99, 1.0), warmup, no_sensor)
    assert warming.latencies_s == (9, 5, 2, 1.0, 1.01, 0.99, 1.0)
    assert warming.temperatures_c == (None,) * 7
    assert warming.stable and warming.steady_passes == 7
    assert (warming.start_c, warming.rested, warming.rest_c(warmup)) == (None, None, None)


def test_warm_up_gives_up_and_says_so() -> None:
    warming = warm_up(giving(*[1, 2] * 50), WarmupConfig(max_passes=6), no_sensor)
    assert len(warming.latencies_s) == warming.steady_passes == 6
    assert not warming.stable


def test_a_fixed_count_is_taken_at_its_word() -> None:
    warming = warm_up(giving(9, 1), WarmupConfig(passes=2), no_sensor)
    assert warming.latencies_s == (9, 1)
    assert warming.stable and warming.steady_passes == 2


@pytest.mark.parametrize(
    ("latencies", "flat"),
    [
        # A monotone fall of 3.5 % a pass varies by 4.6 %.
        ([1.035**-n for n in range(8)], False),
        ([1.02**n for n in range(8)], False),
        ([1.0, 1.03, 0.97, 1.01], True),
        ([2.0, 1.5, 1.001**-1, 1.001**-2, 1.001**-3, 1.001**-4], True),
        ([1.0, 1.0, 1.0], False),
    ],
)
def test_latencies_with_a_trend_are_not_flat(latencies: Sequence[float], flat: bool) -> None:
    assert is_flat(latencies, WarmupConfig()) is flat


@pytest.mark.parametrize("tau_s", [30.0, 60.0, 120.0])
@pytest.mark.parametrize("pass_s", [0.7, 5.0, 25.0])
def test_a_device_that_still_warms_up_is_not_at_rest(tau_s: float, pass_s: float) -> None:
    """The referee's boards: the earlier test ended the warm-up with 15 and 32 °C still to rise."""
    device, warmup = Heating(tau_s, pass_s=pass_s), WarmupConfig()
    warming = warm_up(device.run_pass, warmup, device.reading)
    assert warming.stable and warming.rested
    assert 77 - device.true_c < 2.5
    end_c = warming.rest_c(warmup)
    assert end_c is not None and abs(end_c - device.true_c) < 0.7
    # What replicates repeat is what the latencies needed; they are as warm by their own readings.
    assert warming.steady_passes == 4 < len(warming.latencies_s)
    assert warming.start_c == 40.0
    assert warming.elapsed_s[-1] == pytest.approx(device.now_s) and device.now_s < 600


def test_a_temperature_that_goes_on_rising_is_given_up_after_the_timeout() -> None:
    device = Heating(10.0, drift_c_per_s=0.05)
    warming = warm_up(device.run_pass, WarmupConfig(temperature_timeout_s=200.0), device.reading)
    assert not warming.stable and warming.rested is False
    assert warming.elapsed_s[-1] == 200.0


def test_a_device_whose_fan_cycles_is_at_rest() -> None:
    """Its temperature comes back: a mean that does not move."""
    at_s = [float(second) for second in range(1, 90)]
    cycling = [70 + 1.4 * math.sin(2 * math.pi * second / 15) for second in at_s]
    assert is_thermally_flat(cycling, at_s, WarmupConfig())


def test_less_than_the_window_shows_nothing() -> None:
    at_s = [float(second) for second in range(1, 60)]
    assert not is_thermally_flat([61.0] * 59, at_s, WarmupConfig())
    assert is_thermally_flat([61.0] * 61, [float(second) for second in range(1, 62)], WarmupConfig())


def test_a_fixed_count_says_whether_its_end_was_at_rest() -> None:
    device = Heating(60.0)
    warming = warm_up(device.run_pass, WarmupConfig(passes=70), device.reading)
    assert warming.rested is False and warming.steady_passes == 70
    assert isinstance(warming, Warming)

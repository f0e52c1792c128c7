"""Windows that end badly, and helpers around them."""

from __future__ import annotations

import time
from types import SimpleNamespace

import pytest

from llenergymeasure.energy import MeterSet, idle_power, open_meters
from llenergymeasure.energy.meter import MeterUnavailable


@pytest.fixture
def meters() -> MeterSet:
    return open_meters(SimpleNamespace(meters=[], power_interval_s=0.05, boundary=None))


def test_an_exception_passes_through_a_closed_window(meters: MeterSet) -> None:
    with pytest.raises(MemoryError), meters.window("generate", lambda: None) as window:
        time.sleep(0.05)
        raise MemoryError
    assert window.duration_s >= 0.05
    assert len(window.entries) == 1
    with meters.window("generate", lambda: None):
        pass


def test_windows_do_not_nest(meters: MeterSet) -> None:
    with meters.window("load", lambda: None):
        with pytest.raises(RuntimeError, match="window is open"), meters.window("compile", lambda: None):
            pass
        with pytest.raises(RuntimeError, match="window is open"):
            meters.restrict([])


def test_idle_power_is_a_window_in_which_nothing_happens(meters: MeterSet) -> None:
    (entry,) = idle_power(meters, "idle", 0.1)
    assert entry.phase == "idle"
    assert entry.duration_s >= 0.1


def test_an_unknown_meter_is_named() -> None:
    with pytest.raises(MeterUnavailable, match="watt-meter"):
        open_meters(SimpleNamespace(meters=["watt-meter"], power_interval_s=0.05, boundary=None))

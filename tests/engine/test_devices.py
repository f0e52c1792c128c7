"""What is asked of CUDA devices, and of which: over a stand-in that refuses what a device refuses."""

from __future__ import annotations

import pytest

from engine.fake_cuda import FakeCuda, model_on
from llenergymeasure.engine.devices import Cuda, Host, devices_holding, startup_devices


def test_peaks_can_be_reset_before_anything_used_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeCuda(reserved=[0, 0])
    fake.install(monkeypatch)
    # As `load_model` does when nobody opened a window before.
    assert startup_devices().reset_peak_memory()
    assert fake.reset == [0, 1]


def test_to_name_the_devices_of_a_load_initialises_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first idle window is of a device without a context."""
    fake = FakeCuda(reserved=[0, 0])
    fake.install(monkeypatch)
    startup_devices().synchronize()
    assert not fake.initialised
    assert not fake.contexts


def test_only_devices_in_use_are_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeCuda(reserved=[0, 1 << 20, 0, 1 << 20], initialised=True)
    fake.install(monkeypatch)
    startup_devices().synchronize()
    assert fake.synchronised == [1, 3]
    assert fake.contexts == {1, 3}, "another device was given a context, with its memory and its watts"


def test_a_model_is_timed_on_the_device_that_it_runs_on(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeCuda(reserved=[0, 1 << 20], initialised=True)
    fake.install(monkeypatch)
    devices = devices_holding(model_on("cuda:1", embedding="cuda:1"))
    start = devices.clock.mark()
    fake.work(1, 0.25)
    end = devices.clock.mark()
    assert devices.clock.seconds(start, end) == pytest.approx(0.25)
    assert fake.contexts == {1}


def test_a_model_on_several_devices_is_timed_where_its_tokens_come_out(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeCuda(reserved=[1 << 20] * 3, initialised=True)
    fake.install(monkeypatch)
    devices = devices_holding(model_on("cuda:0", "cuda:1", "cuda:2", embedding="cuda:2"))
    assert isinstance(devices, Cuda)
    assert devices.indices == (0, 1, 2)
    start = devices.clock.mark()
    fake.work(2, 0.125)
    fake.work(0, 9.0)
    assert devices.clock.seconds(start, devices.clock.mark()) == pytest.approx(0.125)


def test_after_the_load_the_models_device_is_the_current_one(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeCuda(reserved=[0, 1 << 20], initialised=True)
    fake.install(monkeypatch)
    devices_holding(model_on("cuda:1", embedding="cuda:1")).make_current()
    assert fake.current == 1


def test_an_embedding_on_the_host_leaves_the_lowest_device(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeCuda(reserved=[0, 1 << 20, 1 << 20], initialised=True)
    fake.install(monkeypatch)
    devices = devices_holding(model_on("cuda:2", "cuda:1", "cpu", embedding="cpu"))
    assert isinstance(devices, Cuda)
    assert devices.first == 1


def test_a_model_on_no_accelerator_is_the_hosts() -> None:
    assert isinstance(devices_holding(model_on("cpu", "meta", embedding="cpu")), Host)

"""Experiments that share a process: each has its own memory, and what one leaves behind is said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from measurement.experiments import config

from llenergymeasure.engine import devices
from llenergymeasure.engine.devices import Cuda, Host
from llenergymeasure.engine.replicas import Alone
from llenergymeasure.measurement.memory_checks import FOR_GOOD_BYTES, MemoryWatch, driver_memory
from llenergymeasure.measurement.worker.manager import LoadOrder, Manager

SMALL = config(n_prompts=2, max_input_tokens=16, pytorch={"batch_size": 1})
BIG = config(
    n_prompts=64,
    max_input_tokens=400,
    dataset={"source": "synthetic", "tokens": 400},
    pytorch={"batch_size": 64},
)


def measure(snapshot: Path, log: Path, *intents: dict[str, Any]) -> list[dict[str, Any]]:
    """The records of these experiments, one after the other in one fresh worker."""
    order = LoadOrder(config=intents[0], snapshots={"model": snapshot}, compile_cache=None, timeout_s=300)
    windows = {"min_window_s": 0.1, "energy_resolution": 0.01}
    calibrations = []
    with Manager(order, log) as manager:
        for intent in intents:
            calibrations.append(manager.ask({"do": "warmup", "config": intent, **windows}))
    records = []
    with Manager(order, log) as manager:
        for intent, calibration in zip(intents, calibrations, strict=True):
            outputs = calibration.pop("outputs")
            answer = manager.ask(
                {
                    "do": "measure",
                    "config": intent,
                    "calibration": {**calibration, "status": "ok"},
                    "reference": {"experiment_id": "itself", "outputs": outputs},
                }
            )
            records.append(answer["record"])
    return records


@pytest.mark.slow
def test_a_small_experiment_after_a_big_one_is_as_if_it_were_alone(snapshot: Path, tmp_path: Path) -> None:
    (alone,) = measure(snapshot, tmp_path / "log", SMALL)
    big, after = measure(snapshot, tmp_path / "log", BIG, SMALL)
    peaks = {
        name: record["metrics"]["peak_memory_bytes"]
        for name, record in {"alone": alone, "big": big, "after": after}.items()
    }
    assert peaks["big"] > 1.08 * peaks["alone"]
    assert peaks["after"] == pytest.approx(peaks["alone"], rel=0.025)
    assert after["output_digest"] == alone["output_digest"]
    for record in (alone, big, after):
        assert not {warning["code"] for warning in record["warnings"]} & {"memory-left-behind", "peak-of-the-process"}
        for moment in ("at_start", "at_window"):
            state = record["memory"][moment]
            assert 0 < state["private_bytes"] <= state["in_use_bytes"] <= peaks["big"] * 1.05
            assert 0 <= state["fragmented_bytes"] <= state["reserved_bytes"]
    assert alone["memory"]["left_behind_bytes"] is None
    assert after["memory"]["left_behind_bytes"] < FOR_GOOD_BYTES


def rounds(watch: MemoryWatch, *, hoarding: list[bytes]) -> list[list[str]]:
    """Three experiments, each of which keeps what it is given; the codes of their warnings."""
    codes = []
    for _ in range(3):
        watch.begin()
        watch.open_window()
        codes.append([warning["code"] for warning in watch.warnings()])
        hoarding.append(b"\x01" * (2 * FOR_GOOD_BYTES))
    return codes


def test_an_experiment_that_leaves_memory_behind_is_pointed_out() -> None:
    kept: list[bytes] = []
    assert rounds(MemoryWatch(Host(), Alone()), hoarding=kept) == [[], ["memory-left-behind"], ["memory-left-behind"]]
    kept.clear()
    assert rounds(MemoryWatch(Host(), Alone()), hoarding=_Forgetful()) == [[], [], []]


class _Forgetful(list[bytes]):
    def append(self, item: bytes) -> None:
        """Keeps nothing."""


def test_a_peak_that_cannot_be_reset_is_not_passed_off_as_the_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "reset_host_peak", lambda: False)
    watch = MemoryWatch(Host(), Alone())
    watch.begin()
    watch.open_window()
    (warning,) = watch.warnings()
    assert warning["code"] == "peak-of-the-process"
    assert watch.to_dict()["peak_is_of_the_window"] is False


def test_on_cuda_memory_is_what_the_allocator_says(monkeypatch: pytest.MonkeyPatch) -> None:
    emptied: list[str] = []
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda index: 100 + index)
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda _: 300)
    monkeypatch.setattr(torch.cuda, "memory_stats", lambda _: {"inactive_split_bytes.all.current": 50})
    monkeypatch.setattr(torch.cuda, "init", lambda: None)
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", lambda _: None)
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: emptied.append("emptied"))
    # Its clock needs a device only when it stamps.
    watch = MemoryWatch(Cuda([0, 1]), Alone())
    watch.begin()
    assert emptied == ["emptied"]
    watch.open_window()
    assert emptied == ["emptied"], "an emptied cache would be filled again inside the window"
    state = watch.to_dict()["at_window"]
    assert state == {"in_use_bytes": 201, "private_bytes": 201, "reserved_bytes": 600, "fragmented_bytes": 100}


def test_the_drivers_count_is_that_of_all_boards_that_hold_the_model_or_unknown() -> None:
    facts = {
        "GPU-a": {"process_memory_bytes": 5_000_000_000, "process_memory_reason": None},
        "GPU-b": {"process_memory_bytes": 3_000_000_000, "process_memory_reason": None},
        "GPU-c": {"process_memory_bytes": None, "process_memory_reason": "a container hides process ids"},
        "host": {},
    }
    # Two processes on one board: its count has both.
    assert driver_memory(facts, ["GPU-a", "GPU-b", "GPU-a"]).bytes == 8_000_000_000
    hidden = driver_memory(facts, ["GPU-a", "GPU-c"])
    assert (hidden.bytes, hidden.reason) == (None, "GPU-c: a container hides process ids")
    refused = driver_memory(facts, ["GPU-a", "GPU-refused"])
    assert (refused.bytes, refused.reason) == (None, "GPU-refused: no open meter asks its driver")
    assert driver_memory(facts, []).reason == "no GPU holds parameters of the model"

"""What every meter must do, whichever it is. A new meter joins by saying on which machine it can be tried."""

from __future__ import annotations

import pytest
from energy.simulated_gpus import Run
from energy.toy_meter import ENTRY

from llenergymeasure.records.machine import Meters
from llenergymeasure.records.meters import METERS

MACHINES = {
    "nvml": "gpu_machine",
    "rapl": "rapl_machine",
    "zeus": "gpu_machine",
    "codecarbon": "machine",
    "toy": "toy_machine",
}
# A window's first samples meet cold caches and a thread that starts: 5 ms, once, which is 1 % of half a second. The
# share is that of a window long enough to be one in which things were measured.
LONG_S = 2.5
ENTRIES = {**METERS, ENTRY.name: ENTRY}


@pytest.fixture(params=list(ENTRIES))
def meter(request: pytest.FixtureRequest) -> tuple[str, Run]:
    return request.param, request.getfixturevalue(MACHINES[request.param])


def test_contract(meter: tuple[str, Run]) -> None:
    name, run = meter
    seconds = (0.5, LONG_S, LONG_S)
    orders = [{"seconds": seconds[0], "phase": "idle"}, *({"seconds": duration_s} for duration_s in seconds[1:])]
    answer = run({"meters": [name], "windows": orders})

    # A record takes what the meter says of itself.
    assert [meter["meter"] for meter in Meters.from_plain(answer["describe"]).meters] == [name]

    for window, phase, asked_s in zip(answer["windows"], ("idle", "generate", "generate"), seconds, strict=True):
        assert window["entries"]
        for entry in window["entries"]:
            assert entry["phase"] == phase
            assert entry["source"] in [source.name for source in ENTRIES[name].sources]
            assert entry["energy_j"] > 0
            assert entry["standard_uncertainty_j"] > 0
            assert entry["uncertainty_basis"]
            assert entry["reason"] is None
            assert (entry["start_monotonic_s"], entry["end_monotonic_s"]) == (window["start"], window["end"])
            assert entry["duration_s"] == pytest.approx(window["duration"])
        assert len(window["synchronized"]) == 2
        assert window["entered"] <= window["start"] <= window["began"] < window["end"] <= window["left"]
        assert window["duration"] - asked_s < 0.15
    # Another program beside it makes the same work take more processor time: the quieter of two windows counts.
    assert min(window["cpu"] / window["duration"] for window in answer["windows"][1:]) < 0.01
    assert [description["meter"] for description in answer["describe"]["meters"]] == [name]
    assert answer["describe"]["devices"]
    assert answer["warnings"] == []
    assert answer["new_files"] == []
    assert answer["torch"] is False

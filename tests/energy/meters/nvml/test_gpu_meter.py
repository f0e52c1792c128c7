"""The NVML meter on a real GPU."""

from __future__ import annotations

import time
from types import SimpleNamespace

import pytest

from llenergymeasure.energy import idle_power, open_meters, primary_energy

torch = pytest.importorskip("torch")
pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
]


def test_work_costs_more_than_idling_and_the_board_is_torchs() -> None:
    meters = open_meters(SimpleNamespace(meters=["nvml"], power_interval_s=0.05, boundary=None))
    try:
        (idle, *_) = idle_power(meters, "idle", 2.0)
        meters.restrict([f"GPU-{torch.cuda.get_device_properties(0).uuid}"])
        matrix = torch.randn(4096, 4096, device="cuda", dtype=torch.bfloat16)
        with meters.window("generate", torch.cuda.synchronize) as window:
            end_s = time.perf_counter() + 3.0
            while time.perf_counter() < end_s:
                matrix @ matrix
                torch.cuda.synchronize()
        energy = primary_energy(window.entries, "generate")
        assert energy.reason is None and energy.source is not None and energy.source.startswith("measured:nvml")
        assert energy.energy_j is not None and energy.standard_uncertainty_j is not None and idle.energy_j is not None
        assert energy.energy_j / window.duration_s > 1.2 * idle.energy_j / idle.duration_s
        assert 0.02 < energy.standard_uncertainty_j / energy.energy_j < 0.2
        period_s = meters.describe()["devices"][0]["counter_update_period_s"]
        assert period_s is None or 0.005 < period_s < 0.5
        trace = meters.trace()
        assert {row["phase"] for row in trace} == {"idle", "generate"}
        assert all(row["power_w"] and row["temperature_c"] and row["sm_clock_mhz"] for row in trace)
    finally:
        meters.close()

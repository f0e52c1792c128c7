"""The host's readings come from a made-up machine."""

from __future__ import annotations

from pathlib import Path

import pytest
from energy.meters.host.made_up_host import Host

from llenergymeasure.energy.meters.host import readings as host_readings


@pytest.fixture(params=[4], ids=["4-cores"])
def host(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    made_up = Host(tmp_path, request.param)
    monkeypatch.setattr(host_readings, "PROC", made_up.proc)
    monkeypatch.setattr(host_readings, "CPUFREQ", made_up.cpufreq)
    monkeypatch.setattr(host_readings, "TICK_S", 0.01)
    monkeypatch.setattr(host_readings, "usable_cores", lambda: made_up.usable)
    return made_up

"""The same temperature for every trial, and verdicts."""

from __future__ import annotations

import pytest

from llenergymeasure.config import WarmupConfig
from llenergymeasure.measurement import thermal
from llenergymeasure.measurement.thermal import cool_down, heat_up, within_band
from llenergymeasure.measurement.validity import ignored_settings, judge
from llenergymeasure.records.finding import Finding

WARMUP = WarmupConfig(temperature_band_c=3.0, temperature_timeout_s=60.0)


class Device:
    """Cools by 0.1 °C a second of waiting, warms by 2 °C a pass of a second."""

    def __init__(self, temperature_c: float | None) -> None:
        self.temperature_c = temperature_c
        self.now_s = 0.0

    def reading(self) -> tuple[float, float | None]:
        return self.now_s, self.temperature_c

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds
        if self.temperature_c is not None:
            self.temperature_c -= 0.1 * seconds

    def run_pass(self) -> None:
        self.now_s += 1.0
        assert self.temperature_c is not None, "nobody can tell whether it helps"
        self.temperature_c += 2.0


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Device:
    simulated = Device(request.param)
    monkeypatch.setattr(thermal.time, "sleep", simulated.sleep)
    return simulated


@pytest.mark.parametrize("device", [64.0], indirect=True)
def test_a_hot_device_is_let_cool_into_the_band(device: Device) -> None:
    start_c, seconds = cool_down(60.0, WARMUP, device.reading)
    assert start_c == 64.0
    assert seconds == pytest.approx(10.0, abs=0.6)
    assert device.temperature_c == pytest.approx(63.0, abs=0.06)


@pytest.mark.parametrize("device", [90.0], indirect=True)
def test_waiting_ends_after_the_timeout(device: Device) -> None:
    _, seconds = cool_down(60.0, WARMUP, device.reading)
    assert seconds == pytest.approx(60.0)
    assert not within_band(60.0, device.temperature_c, WARMUP)


@pytest.mark.parametrize("device", [50.0], indirect=True)
def test_a_cold_device_gets_further_passes(device: Device) -> None:
    assert cool_down(60.0, WARMUP, device.reading) == (50.0, 0.0)
    assert heat_up(60.0, WARMUP, device.reading, device.run_pass) == (58.0, 4)
    assert within_band(60.0, device.temperature_c, WARMUP)


@pytest.mark.parametrize("device", [None], indirect=True)
def test_without_a_sensor_nothing_is_waited_for(device: Device) -> None:
    assert cool_down(None, WARMUP, device.reading) == (None, 0.0)
    assert heat_up(60.0, WARMUP, device.reading, device.run_pass) == (None, 0)
    assert within_band(60.0, None, WARMUP)


def test_the_worst_finding_decides_and_each_is_named_once() -> None:
    suspect = Finding("throttled", "it was throttled")
    invalid = Finding("ecc-errors", "memory errors")
    assert judge([]) == {"verdict": "valid", "reasons": []}
    assert judge([suspect, suspect]) == {"verdict": "suspect", "reasons": [suspect.to_dict()]}
    assert judge([suspect, invalid])["verdict"] == "invalid"


def test_an_ignored_setting_is_invalid() -> None:
    evidence = {
        "decoder.top_k": {"requested": 5, "observed": "50 tokens kept", "verdict": "ignored"},
        "precision": {"requested": "fp32", "observed": "float32", "verdict": "applied"},
    }
    (finding,) = ignored_settings(evidence)
    assert (finding.code, finding.severity) == ("setting-ignored", "invalid")
    assert "decoder.top_k = 5" in finding.message and "50 tokens kept" in finding.message


def test_a_warning_is_not_a_reason_of_a_verdict() -> None:
    with pytest.raises(ValueError, match=r"outputs-vary; raise them with records\.finding\.warning"):
        judge([Finding("outputs-vary", "the second pass differs")])

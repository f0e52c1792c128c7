"""An idle window begins when power has come down, not when the work before it ends."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from energy.fake_powercap import FakePowercap
from measurement.experiments import config

from llenergymeasure.config import EnergyConfig, ExperimentConfig
from llenergymeasure.energy import MeterSet, Window, no_meters, open_meters, primary_energy
from llenergymeasure.energy.meters.rapl import meter as rapl_meter
from llenergymeasure.engine.replicas import Alone
from llenergymeasure.measurement import settling
from llenergymeasure.measurement.metrics.baselines import RESIDENT, baseline_findings
from llenergymeasure.measurement.settling import Settling, Step, settle
from llenergymeasure.measurement.windows import BARE, Windows

ZONES = {"intel-rapl:0": ("package-0", 100.0)}


def settled(powers_w: Sequence[float | None], clocks_mhz: Sequence[float] = (), took_s: float = 1.0) -> Settling:
    clocks = [{"GPU-1": mhz} for mhz in clocks_mhz] or [{} for _ in powers_w]
    steps = iter([Step(power_w, clock, took_s) for power_w, clock in zip(powers_w, clocks, strict=True)])
    seconds = iter(range(1000))
    return settle(lambda: next(steps), lambda: float(next(seconds)))


def test_two_successive_seconds_have_to_agree() -> None:
    outcome = settled([300.0, 150.0, 104.0, 101.5, 100.0, 90.0])
    assert outcome.settled is True
    # 104 and 101.5 W lie 2.5 % apart, 101.5 and 100 W 1.5 %.
    assert outcome.powers_w == (300.0, 150.0, 104.0, 101.5, 100.0)


def test_power_that_never_settles_is_given_up_and_reported() -> None:
    swinging = [100.0 + 10 * (step % 2) for step in range(25)]
    outcome = settled(swinging)
    assert outcome.settled is False and len(outcome.powers_w) == settling.MOST_S == 20
    # The meters take their time around each second.
    assert len(settled(swinging, took_s=1.5).powers_w) == 14
    window = Window(RESIDENT, 0.0)
    window.facts["settling"] = outcome.to_dict()
    (finding,) = baseline_findings([window])
    assert (finding.code, finding.severity) == ("baseline-not-settled", "suspect")
    assert "from 100 W to 110 W, 100 W a second before" in finding.message
    window.facts["settling"] = settled([100.0, 100.0]).to_dict()
    assert baseline_findings([window]) == []


def test_a_clock_that_still_falls_has_not_settled() -> None:
    """Power within 2 %, the clock 20 % lower: the next second will be another one."""
    outcome = settled([100.0, 60.0, 59.5, 50.0, 50.0], [1980, 1500, 1200, 345, 345])
    assert outcome.settled is True
    assert outcome.powers_w == (100.0, 60.0, 59.5, 50.0, 50.0)
    assert outcome.to_dict()["sm_clocks_mhz"] == [{"GPU-1": mhz} for mhz in (1980, 1500, 1200, 345, 345)]


def test_a_plateau_at_the_clocks_of_the_work_is_not_rest() -> None:
    """Clocks held for two seconds at a steady 120 W, then let go."""
    outcome = settled([120.0, 120.0, 70.0, 70.0], [1980, 1980, 345, 345])
    assert (outcome.settled, outcome.powers_w) == (True, (120.0, 120.0, 70.0, 70.0))
    # A board that never lets them fall needs one second more.
    assert len(settled([120.0] * 5, [1980] * 5).powers_w) == 3


def test_without_a_measurement_nobody_waits() -> None:
    outcome = settled([None])
    assert (outcome.settled, outcome.powers_w) == (None, ())
    assert outcome.reason == "no meter here measures power"


@contextmanager
def cooling(root: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[MeterSet, Callable[[], None]]]:
    """A package of 100 W at work, that falls to 30 W with a time constant of 0.8 s once it has nothing to do."""
    ended_s: list[float] = []

    def share() -> float:
        return 0.3 + 0.7 * 2.718281828 ** (-(time.perf_counter() - ended_s[0]) / 0.8) if ended_s else 1.0

    with FakePowercap(root, ZONES, power=share):
        monkeypatch.setattr(rapl_meter, "POWERCAP", root)
        meters = open_meters(EnergyConfig(meters=["rapl"]))
        try:
            yield meters, lambda: ended_s.append(time.perf_counter())
        finally:
            meters.close()


def intent(seconds: float) -> ExperimentConfig:
    return ExperimentConfig.model_validate(config(baseline={"duration_s": seconds}))


def test_the_baseline_after_work_is_that_of_the_idle_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with cooling(tmp_path / "powercap", monkeypatch) as (meters, stop_working):
        windows = Windows(meters, Alone())
        with windows.open("load", lambda: None) as window:
            time.sleep(0.5)
        windows.keep(window)
        stop_working()
        windows.idle(intent(1.0), RESIDENT)
        (idle,) = windows.baselines(window.start_monotonic_s)
        energy = primary_energy(idle.entries, RESIDENT)
        assert energy.energy_j is not None
        # Begun at once, a second of it would have held 70 W · 0.57 more.
        assert energy.energy_j / energy.duration_s == pytest.approx(30.0, rel=0.05)
        settling = idle.facts["settling"]
        assert settling["settled"] is True
        assert 3.0 < settling["waited_s"] == pytest.approx(idle.start_monotonic_s - window.end_monotonic_s, abs=1.0)
        assert settling["powers_w"][0] > 1.5 * settling["powers_w"][-1]
        assert {row["phase"] for row in meters.trace()} == {"load", "settling", "idle_resident"}


def test_a_machine_that_only_estimates_does_not_wait() -> None:
    meters = open_meters(EnergyConfig(meters=["codecarbon"]))
    try:
        windows = Windows(meters, Alone())
        windows.idle(intent(0.1), BARE)
        began_s = time.perf_counter()
        windows.idle(intent(0.1), RESIDENT)
        took_s = time.perf_counter() - began_s
        (idle,) = windows.baselines(began_s)
    finally:
        meters.close()
    assert took_s < 1.0  # one step of settling
    settling: dict[str, Any] = idle.facts["settling"]
    assert (settling["settled"], settling["waited_s"], settling["powers_w"]) == (None, 0.0, [])
    assert settling["reason"] == "no meter here measures power"


class Follower(Alone):
    """A further process of an experiment: it meters nothing and does what the first one says."""

    def __init__(self, said: Sequence[Any]) -> None:
        self._said = iter(said)

    def share(self, message: Any) -> Any:
        assert not message or message[0] is None
        return next(self._said)


def test_a_further_process_waits_as_many_seconds_as_the_first() -> None:
    windows = Windows(no_meters(), Follower([True, (90.0, {}, 1.1), (50.0, {}, 1.1), (49.5, {}, 1.1)]))
    began_s = time.perf_counter()
    windows.idle(intent(0.1), RESIDENT)
    assert 3.1 <= time.perf_counter() - began_s < 5.0
    (idle,) = windows.baselines(began_s)
    assert idle.facts["settling"]["powers_w"] == [90.0, 50.0, 49.5]
    assert idle.facts["settling"]["settled"] is True

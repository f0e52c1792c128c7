"""What makes a measured window another one than was asked for."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from llenergymeasure.energy import Window
from llenergymeasure.energy.ledger import Finished, Span
from llenergymeasure.energy.uncertainty import Component
from llenergymeasure.engine.evidence import Observation
from llenergymeasure.measurement.calibration import Calibration
from llenergymeasure.measurement.measurement_record import phase_warnings
from llenergymeasure.measurement.validity import logits_not_finite
from llenergymeasure.measurement.window_findings import window_findings
from llenergymeasure.records.measurement import ThermalRecord

PLAN = Calibration(
    warmup_passes=3,
    measured_passes=10,
    prefill_passes=10,
    pass_s=1.0,
    prefill_pass_s=1.0,
    latencies_s=(1.0, 1.0, 1.0),
    temperatures_c=(60.0, 60.0, 60.0),
    elapsed_s=(1.0, 2.0, 3.0),
    cv=0.0,
    stable=True,
    min_window_s=10.0,
    energy_resolution=0.01,
    resolution_window_s=8.0,
)
THERMAL = ThermalRecord(target_c=60.0, start_c=55.0, cooled_s=0.0, extra_passes=0, window_c=60.0, within_band=True)


def window(seconds: float = 10.0, *, edge_j: float = 1.0, lost: str | None = None) -> Window:
    generate_window = Window("generate", 100.0)
    generate_window.end_monotonic_s = 100.0 + seconds
    span, source = Span("generate", 100.0, 100.0 + seconds), "measured:nvml-total-energy"
    entry = span.known("GPU-a", "gpu", source, 300 * seconds, [Component("edge", edge_j, "edge")])
    generate_window.take(Finished([entry if lost is None else span.unknown("GPU-a", "gpu", source, lost)]))
    return generate_window


def codes(
    generate_window: Window,
    plan: Calibration = PLAN,
    thermal: ThermalRecord = THERMAL,
    *,
    pass_cv: float = 0.0,
    frames_seen: int = 0,
    graphs_recorded: int = 0,
    recompile_limits: int = 0,
) -> dict[str, str]:
    observation: Any = SimpleNamespace(
        window_counts={"frames_seen": frames_seen, "graphs_recorded": graphs_recorded},
        compile_counts={"recompile_limits": recompile_limits},
    )
    findings = window_findings(plan, generate_window, thermal, {"pass_cv": pass_cv}, cast(Observation, observation))
    return {finding.code: finding.severity for finding in findings}


def test_a_window_as_it_should_be_has_none() -> None:
    assert codes(window()) == {}


@pytest.mark.parametrize(
    ("fault_codes", "expected"),
    [
        (lambda: codes(window(7.9)), {"window-too-short": "suspect"}),
        (lambda: codes(window(), replace(PLAN, stable=False)), {"warmup-not-stable": "suspect"}),
        (
            lambda: codes(
                window(), thermal=THERMAL.model_copy(update={"window_c": 70.0, "goal_c": 60.0, "within_band": False})
            ),
            {"temperature-out-of-band": "suspect"},
        ),
        (lambda: codes(window(), pass_cv=0.11), {"window-not-stable": "suspect"}),
        # 1.96 · 16 J of 3000 J are 1.05 %.
        (lambda: codes(window(edge_j=16.0)), {"energy-resolution-missed": "suspect"}),
        (lambda: codes(window(edge_j=15.0)), {}),
        (lambda: codes(window(lost="GPU is lost")), {"energy-missing": "suspect"}),
        (lambda: codes(window(), frames_seen=2), {"recompiled-in-window": "invalid"}),
        (lambda: codes(window(), graphs_recorded=3), {"graphs-recorded-in-window": "suspect"}),
        (lambda: codes(window(), recompile_limits=1), {"compiler-gave-up": "suspect"}),
    ],
)
def test_each_fault_has_its_finding(fault_codes: Any, expected: dict[str, str]) -> None:
    assert fault_codes() == expected


def test_phases_that_contradict_each_other_are_a_warning() -> None:
    phases = {"prefill_window_j": 1.0, "prefill_trace_j": 1.5, "difference_j": -0.5, "allowed_j": 0.1, "agrees": False}
    (warning,) = phase_warnings(phases)
    assert warning["code"] == "phases-disagree"
    assert "0.5 J apart" in warning["message"]
    assert phase_warnings({**phases, "agrees": True}) == phase_warnings(None) == []


def test_logits_that_nobody_saw_are_not_valid_ones() -> None:
    assert [item.code for item in logits_not_finite(0, 0)] == ["logits-not-checked"]
    assert logits_not_finite(0, 12) == []

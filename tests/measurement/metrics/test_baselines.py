"""Idle power under a window, and what is left without it."""

from __future__ import annotations

import pytest

from llenergymeasure.energy import LedgerEntry, Window
from llenergymeasure.energy.ledger import Span
from llenergymeasure.energy.uncertainty import Component
from llenergymeasure.measurement.metrics.baselines import baseline_findings, baseline_under
from llenergymeasure.measurement.metrics.energy_metrics import Counts, EnergyFigures, energy_figures, negative_energy
from llenergymeasure.measurement.metrics.prefill_decode import Part, TraceSplit
from llenergymeasure.records.finding import Finding

COUNTER = "measured:nvml-total-energy"
COUNTS = Counts(requests=10, output_tokens=100, prefill_requests=5, prefill_prompt_tokens=50, e2e_latency_s=2.0)


def entry(
    phase: str, start_s: float, end_s: float, power_w: float, *, source: str = COUNTER, device: str = "GPU-a"
) -> LedgerEntry:
    energy_j = power_w * (end_s - start_s)
    budget = [
        Component("tick", 2.0, "edge"),
        Component("noise", 1.0, "rate"),
        Component("gain ±5 %", 0.05 * energy_j / 3**0.5, "gain", "rectangular"),
    ]
    return Span(phase, start_s, end_s).known(device, "gpu", source, energy_j, budget)


def test_power_is_interpolated_to_the_middle_of_the_window() -> None:
    idle = [entry("idle_resident", 0, 10, 90), entry("idle_resident", 30, 40, 110)]
    baseline, why = baseline_under(idle, 10, 30, COUNTER)
    assert why is None and baseline is not None
    assert baseline.power_w == pytest.approx(100)
    assert baseline.energy_j == pytest.approx(2000)
    early, _ = baseline_under(idle, 10, 12, COUNTER)
    # Middle at 11 s, between 5 s and 35 s: a fifth of the way.
    assert early is not None and early.power_w == pytest.approx(94)


def test_the_drift_is_in_the_uncertainty_and_the_nearest_windows_count() -> None:
    far = [entry("idle_resident", -50, -40, 10), entry("idle_resident", 90, 99, 500)]
    near = [entry("idle_resident", 0, 10, 90), entry("idle_resident", 30, 40, 110)]
    baseline, _ = baseline_under([*far, *near], 10, 30, COUNTER)
    assert baseline is not None
    assert (baseline.before_w, baseline.after_w) == (90, 110)
    (drift,) = [component for component in baseline.components if "drift" in component.name]
    assert drift.standard_j == pytest.approx(20 / 12**0.5 * 20)
    # Each idle window weighs half, and is stretched from 10 s to 20 s.
    ticks = [component.standard_j for component in baseline.components if "tick" in component.name]
    assert ticks == pytest.approx([2.0, 2.0])
    assert all(component.kind == "baseline" for component in baseline.components)


def test_one_side_will_do_and_another_instrument_will_not() -> None:
    baseline, _ = baseline_under([entry("idle_resident", 0, 10, 90)], 10, 30, COUNTER)
    assert baseline is not None
    assert (baseline.power_w, baseline.before_w, baseline.after_w) == (90, 90, None)
    none, why = baseline_under([entry("idle_resident", 0, 10, 90, source="measured:nvml-power")], 10, 30, COUNTER)
    assert none is None
    assert why == "idle power comes from measured:nvml-power, energy from measured:nvml-total-energy"


def figures(*more: LedgerEntry, gross_w: float = 300.0) -> EnergyFigures:
    entries = [entry("generate", 10, 30, gross_w), *more]
    return energy_figures(entries, COUNTS, None, "the meter gives no trace of the window")


def test_one_power_at_work_and_idle_says_nothing_of_the_net() -> None:
    energy = figures(entry("idle_resident", 0, 10, 28.1), entry("idle_resident", 30, 40.3, 28.1), gross_w=28.1)
    assert energy.values["baseline_power_w"] == pytest.approx(28.1)
    for metric in ("net_energy_per_output_token_j", "net_energy_per_request_j", "baseline_share"):
        assert energy.values[metric] is None
        assert "the same power at work as idle" in energy.unknown[metric]
    # Little is not nothing.
    little = figures(entry("idle_resident", 0, 10, 28.1), entry("idle_resident", 30, 40.3, 28.1), gross_w=28.1001)
    assert little.values["net_energy_per_request_j"] == pytest.approx(0.0001 * 20 / 10, rel=1e-6)


def test_net_is_gross_less_baseline_and_shares_the_gain() -> None:
    energy = figures(entry("idle_resident", 0, 10, 100), entry("idle_resident", 30, 40, 100))
    assert energy.values["energy_per_output_token_j"] == pytest.approx(60)
    assert energy.values["net_energy_per_output_token_j"] == pytest.approx(40)
    assert energy.values["net_energy_per_request_j"] == pytest.approx(400)
    assert energy.values["baseline_power_w"] == pytest.approx(100)
    assert energy.values["baseline_share"] == pytest.approx(1 / 3)
    gain = {row["kind"]: row["standard_uncertainty"] for row in energy.budget["net_energy_per_output_token_j"]}["gain"]
    # Both readings are wrong by the same factor, so their difference is, too.
    assert gain == pytest.approx(0.05 * 40 / 3**0.5)


def test_prefill_and_decode_add_up_and_gross_is_known_without_a_baseline() -> None:
    energy = figures(entry("prefill", 40, 45, 200))
    assert energy.values["prefill_energy_j"] == pytest.approx(200)
    assert energy.values["energy_per_prompt_token_j"] == pytest.approx(20)
    assert energy.values["decode_energy_j"] == pytest.approx(400)
    assert energy.values["net_energy_per_output_token_j"] is None
    assert "idle_resident" in energy.unknown["net_energy_per_output_token_j"]
    budget = energy.budget["decode_energy_j"]
    assert [row["standard_uncertainty"] for row in budget if row["kind"] == "edge"] == pytest.approx([0.2, 0.4])
    (gain,) = [row["standard_uncertainty"] for row in budget if row["kind"] == "gain"]
    assert gain == pytest.approx(0.05 * 400 / 3**0.5)
    assert energy.phases is None
    assert energy.unknown["prefill_energy_trace_j"] == "the meter gives no trace of the window"


def test_energy_below_zero_is_a_finding_with_its_numbers() -> None:
    idle = [entry("idle_resident", 0, 10, 310), entry("idle_resident", 50, 60, 310)]
    energy = figures(*idle, entry("prefill", 40, 45, 700))
    assert energy.values["net_energy_per_request_j"] == pytest.approx(-20)
    assert energy.values["decode_energy_j"] == pytest.approx(-100)
    assert [(finding.code, finding.severity, finding.message) for finding in negative_energy(energy)] == [
        (
            "net-energy-negative",
            "suspect",
            "net energy is -20 J per request: 300 W in the window, 310 W idle beside it",
        ),
        (
            "decode-energy-negative",
            "suspect",
            "decode energy is -100 J per request: 600 J in the full window, 700 J in the prefill-only window",
        ),
    ]


@pytest.mark.parametrize(
    ("prefill_j", "code"), [(6200.0, "decode-energy-negative"), (-30.0, "prefill-energy-negative")]
)
def test_a_trace_that_splits_into_less_than_nothing_is_a_finding(prefill_j: float, code: str) -> None:
    split = TraceSplit(Part(prefill_j, 1.0), Part(6000 - prefill_j, 1.0))
    energy = energy_figures([entry("generate", 10, 30, 300)], COUNTS, split, None)
    (finding,) = negative_energy(energy)
    assert (finding.code, finding.severity) == (code, "suspect")
    assert "J per request of 600 J in all, by the trace" in finding.message


def test_energy_above_zero_or_unknown_is_none() -> None:
    idle = [entry("idle_resident", 0, 10, 100), entry("idle_resident", 50, 60, 100)]
    assert negative_energy(figures(*idle, entry("prefill", 40, 45, 200))) == []
    assert negative_energy(figures()) == []


def test_a_missing_reading_makes_every_figure_unknown_with_its_reason() -> None:
    lost = Span("generate", 10, 30).unknown("GPU-a", "gpu", COUNTER, "GPU is lost")
    energy = energy_figures([lost, entry("prefill", 40, 45, 200)], COUNTS, None, "no trace")
    assert set(energy.values.values()) == {None}
    assert set(energy.unknown) == set(energy.values)
    assert set(energy.unknown.values()) == {"GPU-a gpu: GPU is lost"}
    assert energy.source is None


def idle_window(*entries: LedgerEntry, findings: tuple[str, ...] = ()) -> Window:
    window = Window("idle_resident", 0.0)
    window.entries += entries
    window.findings += [Finding(code, f"{code} in an idle window") for code in findings]
    return window


def test_idle_windows_that_others_used_or_that_gave_nothing_make_the_run_suspect() -> None:
    quiet = idle_window(entry("idle_resident", 0, 10, 90), findings=("clock-fell", "throttled"))
    assert baseline_findings([quiet]) == []  # an idle board lowers its clock
    shared = idle_window(entry("idle_resident", 0, 10, 90), findings=("foreign-processes", "foreign-cpu-load"))
    assert [(finding.code, finding.severity) for finding in baseline_findings([quiet, shared])] == [
        ("baseline-disturbed", "suspect")
    ] * 2
    lost = Span("idle_resident", 30, 40).unknown("GPU-a", "gpu", COUNTER, "GPU is lost")
    unmetered = Span("idle_resident", 30, 40).unknown("machine", "total", "none", "no meter works here")
    (missing,) = baseline_findings([quiet, idle_window(lost, unmetered)])
    assert (missing.code, missing.severity) == ("baseline-missing", "suspect")
    assert "GPU-a gpu: GPU is lost" in missing.message

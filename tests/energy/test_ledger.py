"""Entries and their sums."""

from __future__ import annotations

import json
import math

import pytest

from llenergymeasure.energy import LedgerEntry, primary_energy
from llenergymeasure.energy.ledger import Span

COUNTER = "measured:nvml-total-energy"
ESTIMATE = "estimated:codecarbon"


def entry(
    energy_j: float | None,
    uncertainty_j: float | None = 1.0,
    *,
    phase: str = "generate",
    device: str = "GPU-a",
    domain: str = "gpu",
    source: str = COUNTER,
) -> LedgerEntry:
    reason = "sensor gone" if energy_j is None else None
    return Span(phase, 10.0, 12.0).entry(
        device, domain, source, energy_j=energy_j, standard_uncertainty_j=uncertainty_j, reason=reason
    )


def test_measured_wins_over_estimated_and_is_not_added_to_it() -> None:
    entries = [entry(50.0, device="host", domain="cpu", source=ESTIMATE), entry(100.0)]
    assert primary_energy(entries, "generate") == (100.0, 1.0, COUNTER, None)


def test_estimates_where_nothing_is_measured() -> None:
    entries = [
        entry(30.0, 3.0, device="host", domain="cpu", source=ESTIMATE),
        entry(40.0, 4.0, device="host", domain="ram", source=ESTIMATE),
    ]
    assert primary_energy(entries, "generate") == (70.0, 5.0, ESTIMATE, None)


def test_only_the_phase_that_was_asked_for() -> None:
    entries = [entry(100.0), entry(7.0, phase="load")]
    assert primary_energy(entries, "generate")[0] == 100.0
    assert primary_energy(entries, "warmup") == (
        None,
        None,
        None,
        "no energy was recorded for the phase 'warmup'",
    )


def test_a_missing_measured_figure_is_not_filled_by_an_estimate() -> None:
    entries = [entry(None, None), entry(50.0, device="host", domain="cpu", source=ESTIMATE)]
    energy, uncertainty, source, reason = primary_energy(entries, "generate")
    assert (energy, uncertainty, source) == (None, None, COUNTER)
    assert reason == "GPU-a gpu: sensor gone"


def test_devices_in_quadrature_and_windows_of_one_device_linearly() -> None:
    boards = [entry(100.0, 3.0), entry(100.0, 4.0, device="GPU-b")]
    assert primary_energy(boards, "generate")[:2] == (200.0, 5.0)
    windows = [entry(100.0, 3.0), entry(100.0, 4.0)]
    assert primary_energy(windows, "generate")[:2] == (200.0, 7.0)


def test_an_unstated_uncertainty_stays_unstated_in_the_sum() -> None:
    assert primary_energy([entry(100.0), entry(1.0, None, device="GPU-b")], "generate")[:2] == (101.0, None)


def test_an_entry_has_energy_or_a_reason_and_never_both() -> None:
    span = Span("generate", 0.0, 1.0)
    with pytest.raises(ValueError, match="reason"):
        span.entry("GPU-a", "gpu", COUNTER)
    with pytest.raises(ValueError, match="reason"):
        span.entry("GPU-a", "gpu", COUNTER, energy_j=1.0, reason="sensor gone")


def test_to_dict_has_the_fields_of_the_contract() -> None:
    record = entry(100.0).to_dict()
    assert set(record) == {
        "phase", "device", "domain", "energy_j", "duration_s", "source", "standard_uncertainty_j",
        "uncertainty_basis", "start_monotonic_s", "end_monotonic_s", "reason",
    }  # fmt: skip
    assert record["duration_s"] == 2.0
    assert math.isclose(json.loads(json.dumps(record))["energy_j"], 100.0)

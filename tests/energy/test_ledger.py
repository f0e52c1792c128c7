"""Entries and their sums."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest

from llenergymeasure.energy import LedgerEntry, PhaseEnergy, primary_energy
from llenergymeasure.energy.ledger import Span
from llenergymeasure.energy.uncertainty import Component, Kind

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
    kind: Kind = "edge",
) -> LedgerEntry:
    span = Span(phase, 10.0, 12.0)
    if energy_j is None:
        return span.unknown(device, domain, source, "sensor gone")
    budget = [] if uncertainty_j is None else [Component("tick", uncertainty_j, kind)]
    return span.known(device, domain, source, energy_j, budget)


def brief(phase_energy: PhaseEnergy) -> tuple[float | None, float | None, str | None, str | None]:
    return phase_energy.energy_j, phase_energy.standard_uncertainty_j, phase_energy.source, phase_energy.reason


def test_measured_wins_over_estimated_and_is_not_added_to_it() -> None:
    entries = [entry(50.0, device="host", domain="cpu", source=ESTIMATE), entry(100.0)]
    assert brief(primary_energy(entries, "generate")) == (100.0, 1.0, COUNTER, None)


def test_estimates_where_nothing_is_measured() -> None:
    entries = [
        entry(30.0, 3.0, device="host", domain="cpu", source=ESTIMATE),
        entry(40.0, 4.0, device="host", domain="dram", source=ESTIMATE),
    ]
    assert brief(primary_energy(entries, "generate")) == (70.0, 5.0, ESTIMATE, None)


def test_only_the_phase_that_was_asked_for() -> None:
    entries = [entry(100.0), entry(7.0, phase="load")]
    assert primary_energy(entries, "generate").energy_j == 100.0
    assert brief(primary_energy(entries, "warmup")) == (
        None,
        None,
        None,
        "no energy was recorded for the phase 'warmup'",
    )


def test_a_missing_measured_figure_is_not_filled_by_an_estimate() -> None:
    entries = [entry(None, None), entry(50.0, device="host", domain="cpu", source=ESTIMATE)]
    energy, uncertainty, source, reason = brief(primary_energy(entries, "generate"))
    assert (energy, uncertainty, source) == (None, None, COUNTER)
    assert reason == "GPU-a gpu: sensor gone"


def test_devices_and_edges_in_quadrature_and_the_gain_of_one_device_linearly() -> None:
    boards = [entry(100.0, 3.0), entry(100.0, 4.0, device="GPU-b")]
    assert brief(primary_energy(boards, "generate"))[:2] == (200.0, 5.0)
    of_one_gain = [entry(100.0, 3.0, kind="gain"), entry(100.0, 4.0, kind="gain")]
    assert brief(primary_energy(of_one_gain, "generate"))[:2] == (200.0, 7.0)
    with_edges = [entry(100.0, 3.0), entry(100.0, 4.0)]
    assert brief(primary_energy(with_edges, "generate"))[:2] == (200.0, 5.0)


def test_an_unstated_uncertainty_stays_unstated_in_the_sum() -> None:
    unstated = [entry(100.0), entry(1.0, None, device="GPU-b")]
    assert brief(primary_energy(unstated, "generate"))[:2] == (101.0, None)


def test_an_entry_has_energy_or_a_reason_and_never_both() -> None:
    for changes in ({"energy_j": None}, {"reason": "sensor gone"}):
        with pytest.raises(ValueError, match="reason"):
            replace(entry(100.0), **changes)


def test_to_dict_has_the_fields_of_the_contract() -> None:
    record = entry(100.0).to_dict()
    assert set(record) == {
        "phase", "device", "domain", "energy_j", "duration_s", "source", "standard_uncertainty_j",
        "uncertainty_basis", "start_monotonic_s", "end_monotonic_s", "reason", "expanded_uncertainty_j", "components",
        "cross_check", "in_boundary",
    }  # fmt: skip
    assert record["duration_s"] == 2.0
    assert math.isclose(json.loads(json.dumps(record))["energy_j"], 100.0)
    assert LedgerEntry.from_dict(json.loads(json.dumps(record))) == entry(100.0)

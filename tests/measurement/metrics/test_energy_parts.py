"""Joules per domain and per decoded token, and energy with delay, against figures computed by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from llenergymeasure.energy.ledger import Span
from llenergymeasure.energy.uncertainty import Component
from llenergymeasure.measurement.metrics.energy_metrics import Counts, energy_figures

# 4 requests of 25 output tokens, 1.5 s from submission in the mean; 2 requests in the prefill-only window.
COUNTS = Counts(requests=4, output_tokens=100, prefill_requests=2, prefill_prompt_tokens=60, e2e_latency_s=1.5)
FULL, PREFILL = Span("generate", 0.0, 10.0), Span("prefill", 20.0, 21.0)
LEDGER = [
    span.known(device, domain, source, joules, [Component("tick", 0.02 * joules, "edge")])
    for span, scale in ((FULL, 1.0), (PREFILL, 0.1))
    for device, domain, source, joules in (
        ("GPU-a", "gpu", "measured:nvml-total-energy", 600 * scale),
        ("GPU-b", "gpu", "measured:nvml-total-energy", 200 * scale),
        ("package-0", "cpu", "measured:rapl", 150 * scale),
        ("package-0", "dram", "measured:rapl", 50 * scale),
    )
]


def test_parts_of_the_energy_are_those_of_the_devices() -> None:
    values = energy_figures(LEDGER, COUNTS, None, "no trace").values
    assert [values[f"energy_per_request_{domain}_j"] for domain in ("gpu", "cpu", "dram")] == [200.0, 37.5, 12.5]
    assert [values[f"energy_per_output_token_{domain}_j"] for domain in ("gpu", "cpu", "dram")] == [8.0, 1.5, 0.5]
    assert values["energy_per_request_j"] == 250.0
    assert values["energy_per_output_token_j"] == 10.0


def test_each_part_has_the_budget_of_its_devices() -> None:
    budget = energy_figures(LEDGER, COUNTS, None, "no trace").budget
    (tick,) = budget["energy_per_request_cpu_j"]
    assert tick["standard_uncertainty"] == pytest.approx(0.02 * 37.5)
    assert len(budget["energy_per_output_token_gpu_j"]) == 2


def test_a_boundary_moves_the_headline_and_not_the_parts() -> None:
    ledger = [replace(entry, in_boundary=entry.domain == "gpu") for entry in LEDGER]
    figures = energy_figures(ledger, COUNTS, None, "no trace")
    assert (figures.source, figures.boundary) == ("measured:nvml-total-energy", "gpu")
    assert figures.values["energy_per_request_j"] == 200.0
    assert figures.values["energy_per_request_dram_j"] == 12.5
    assert figures.values["average_power_w"] == 80.0


def test_decode_energy_per_token_leaves_the_first_token_to_the_prefill() -> None:
    figures = energy_figures(LEDGER, COUNTS, None, "no trace")
    # 250 J per request, 50 J of them prefill; 24 of 25 tokens are decoded.
    assert figures.values["decode_energy_j"] == pytest.approx(200.0)
    assert figures.values["decode_energy_per_token_j"] == pytest.approx(200 / 24)
    ticks = [row["standard_uncertainty"] for row in figures.budget["decode_energy_per_token_j"]]
    of_request = [row["standard_uncertainty"] for row in figures.budget["decode_energy_j"]]
    assert ticks == pytest.approx([value / 24 for value in of_request])


def test_single_tokens_have_no_decoding() -> None:
    figures = energy_figures(LEDGER, replace(COUNTS, output_tokens=4), None, "no trace")
    assert figures.values["decode_energy_per_token_j"] is None
    assert "single token" in figures.unknown["decode_energy_per_token_j"]


def test_energy_and_delay_of_a_request_are_multiplied() -> None:
    figures = energy_figures(LEDGER, COUNTS, None, "no trace")
    assert figures.values["energy_delay_product_j_s"] == pytest.approx(250 * 1.5)
    total = sum(row["standard_uncertainty"] ** 2 for row in figures.budget["energy_delay_product_j_s"]) ** 0.5
    gross = sum(row["standard_uncertainty"] ** 2 for row in figures.budget["energy_per_request_j"]) ** 0.5
    assert total / (250 * 1.5) == pytest.approx(gross / 250)

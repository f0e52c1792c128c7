"""Which domains the energy of a run sums, and what is missing from a boundary that the study declares."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from llenergymeasure.energy import Interval, LedgerEntry, PhaseEnergy, domain_energy, primary_energy
from llenergymeasure.energy.boundary import apply_boundary
from llenergymeasure.energy.ledger import NO_SOURCE, Span
from llenergymeasure.energy.uncertainty import Component

SPAN = Span("generate", 10.0, 20.0)
RAPL, COUNTER, ESTIMATE = "measured:rapl", "measured:nvml-total-energy", "estimated:codecarbon"


def known(device: str, domain: str, energy_j: float, source: str = RAPL) -> LedgerEntry:
    return SPAN.known(device, domain, source, energy_j, [Component("tick", 0.01 * energy_j, "edge")])


BOARDS = [known("GPU-a", "gpu", 1000.0, COUNTER), known("GPU-b", "gpu", 500.0, COUNTER)]
HOST = [known("package-0", "cpu", 80.0), known("package-0", "dram", 15.0), known("package-1", "cpu", 5.0)]
GUESSES = [known("host", "cpu", 60.0, ESTIMATE), known("host", "dram", 20.0, ESTIMATE)]


def bounded(boundary: Sequence[str] | None, entries: Sequence[LedgerEntry]) -> PhaseEnergy:
    return primary_energy(apply_boundary(boundary, SPAN, entries, [])[0], "generate")


def test_domains_add_up_to_the_whole() -> None:
    entries = [*BOARDS, *HOST]
    whole = primary_energy(entries, "generate")
    parts = {domain: domain_energy(entries, "generate", domain).energy_j for domain in ("gpu", "cpu", "dram")}
    assert parts == {"gpu": 1500.0, "cpu": 85.0, "dram": 15.0}
    assert whole.energy_j == sum(value for value in parts.values() if value is not None)
    assert whole.boundary == "gpu+cpu+dram"


@pytest.mark.parametrize(
    ("boundary", "energy_j", "words"),
    [
        (["gpu"], 1500.0, "gpu"),
        (["dram", "gpu"], 1515.0, "gpu+dram"),
        (["cpu", "cpu"], 85.0, "cpu"),
        (["gpu", "cpu", "dram"], 1600.0, "gpu+cpu+dram"),
        (None, 1600.0, "gpu+cpu+dram"),
    ],
)
def test_the_figure_sums_the_declared_domains(boundary: list[str] | None, energy_j: float, words: str) -> None:
    energy = bounded(boundary, [*BOARDS, *HOST])
    assert (energy.energy_j, energy.boundary, energy.reason) == (energy_j, words, None)


def test_what_is_outside_stays_known() -> None:
    entries, _ = apply_boundary(["gpu"], SPAN, [*BOARDS, *HOST], [])
    assert domain_energy(entries, "generate", "cpu").energy_j == 85.0
    assert [entry.in_boundary for entry in entries] == [True, True, False, False, False]


def test_a_domain_that_nothing_meters_leaves_the_figure_empty_and_says_what_to_do() -> None:
    energy = bounded(["gpu", "dram"], BOARDS)
    assert energy.energy_j is None
    assert energy.reason is not None
    assert "energy.boundary names dram, and no meter of this run covers the memory of the CPU packages" in energy.reason
    assert "remove dram from energy.boundary" in energy.reason


def test_an_estimate_does_not_complete_a_measured_boundary() -> None:
    energy = bounded(["gpu", "cpu"], [*BOARDS, *GUESSES])
    assert energy.energy_j is None
    assert energy.reason is not None
    assert "names cpu, which is only an estimate (estimated:codecarbon), beside a domain that is measured" in (
        energy.reason
    )
    assert bounded(None, [*BOARDS, *GUESSES]).boundary == "gpu"


def test_a_boundary_may_be_of_estimates_alone() -> None:
    energy = bounded(["cpu", "dram"], [*BOARDS, *GUESSES])
    assert (energy.energy_j, energy.source, energy.boundary) == (80.0, ESTIMATE, "cpu+dram")


def test_a_gpu_without_a_meter_does_not_empty_a_boundary_without_gpus() -> None:
    gap = SPAN.unknown("GPU-a", "gpu", NO_SOURCE, "refused")
    assert bounded(["cpu"], [*HOST, gap]).energy_j == 85.0
    assert bounded(["gpu"], [*HOST, gap]).reason == "refused"


def test_a_machine_without_meters_says_so_once() -> None:
    entries, _ = apply_boundary(["gpu", "cpu"], SPAN, [SPAN.unknown("machine", "total", NO_SOURCE, "none works")], [])
    assert [entry.reason for entry in entries] == ["none works"]
    assert primary_energy(entries, "generate").reason == "none works"


def test_a_domain_of_the_other_family_is_not_shown_as_the_runs() -> None:
    part = domain_energy([*BOARDS, *GUESSES], "generate", "cpu")
    assert part.energy_j is None
    assert part.reason == "the energy of the run is measured, that of CPU packages is an estimate"


def test_the_trace_is_that_of_the_boundary_or_there_is_none() -> None:
    pieces = [Interval(device, 10.0, 20.0, 1.0) for device in ("GPU-a", "package-0")]
    entries = [BOARDS[0], *HOST[:2]]
    assert apply_boundary(["gpu"], SPAN, entries, pieces)[1] == pieces[:1]
    assert apply_boundary(None, SPAN, entries, pieces)[1] == pieces
    # The trace of a package holds its memory too.
    assert apply_boundary(["gpu", "cpu"], SPAN, entries, pieces)[1] == []

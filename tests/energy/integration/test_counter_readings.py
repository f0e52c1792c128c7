"""What the counter's readings say of themselves, whoever made them."""

from __future__ import annotations

import pytest

from llenergymeasure.energy.integration.counter_energy import CounterWindow, counter_entry
from llenergymeasure.energy.integration.sensors import UNKNOWN
from llenergymeasure.energy.integration.ticks import CounterReading
from llenergymeasure.energy.ledger import Account, Span

SPAN, ACCOUNT = Span("generate", 10.0, 12.0), Account("GPU-1", "gpu", "measured:nvml-total-energy")


def entry_of(readings: list[CounterReading]) -> tuple[float | None, str | None]:
    """200 W, and these readings in the middle."""
    around = [CounterReading(time_s, 1e-4, round(time_s * 200_000)) for time_s in (9.999, 12.001)]
    entry, _ = counter_entry(SPAN, CounterWindow(ACCOUNT, UNKNOWN, [around[0], *readings, around[1]], None))
    return entry.energy_j, entry.reason


def test_overlapping_calls_of_two_processes_are_not_a_fall() -> None:
    """The second call began first, took longer and has the older value, though its middle is the later one."""
    energy_j, reason = entry_of([CounterReading(11.0, 0.0002, 2_200_000), CounterReading(11.0004, 0.004, 2_199_000)])
    assert reason is None and energy_j == pytest.approx(400, rel=0.01)


def test_a_fall_between_two_calls_that_do_not_overlap_is_one() -> None:
    energy_j, reason = entry_of([CounterReading(11.0, 0.0002, 2_200_000), CounterReading(11.0004, 0.0004, 2_199_000)])
    assert energy_j is None and reason is not None and "ran backwards by 1 J" in reason

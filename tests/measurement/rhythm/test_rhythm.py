"""When a window's passes are kept apart, and what meters are told of their steps."""

from __future__ import annotations

import pytest

from llenergymeasure.energy.integration.sensors import PartTime
from llenergymeasure.energy.ledger import Span, with_pauses
from llenergymeasure.energy.uncertainty import Component
from llenergymeasure.engine.generation.generation import Generation
from llenergymeasure.measurement.rhythm.dither import draw_pauses, keeps_step, rhythm_from_timeline
from llenergymeasure.measurement.rhythm.loops import loops_from_timeline

SENSOR = PartTime(period_s=0.1, seen_share=0.25, lag_bound_s=0.1, regular=True)


@pytest.mark.parametrize(("step_s", "keeps"), [(0.05, True), (0.02, True), (0.0203, False), (0.043, False)])
def test_only_steps_that_keep_step_with_the_sensor_are_paused_between(step_s: float, keeps: bool) -> None:
    assert keeps_step(step_s, 60.0, SENSOR) is keeps
    assert bool(draw_pauses(40, step_s, 60.0, [SENSOR])) is keeps
    assert draw_pauses(40, step_s, 60.0, []) == ()


def test_pauses_last_one_step_in_all_and_are_the_same_again() -> None:
    pauses_s = draw_pauses(40, 0.05, 60.0, [SENSOR])
    assert len(pauses_s) == 39 and sum(pause_s > 0 for pause_s in pauses_s) == 16
    assert 0.5 * 0.05 < sum(pauses_s) < 1.5 * 0.05
    assert pauses_s == draw_pauses(40, 0.05, 60.0, [SENSOR])
    assert draw_pauses(1, 0.05, 60.0, [SENSOR]) == ()


def test_steps_and_calls_are_read_off_the_stamps() -> None:
    calls = [Generation(n, n + 0.2, n + 0.5, (n + 0.2, n + 0.3, n + 0.4, n + 0.5)) for n in range(12)]
    steps, whole = loops_from_timeline(calls)
    assert len(steps.starts_s) == 36 and (steps.starts_s[0], steps.ends_s[0]) == (0.2, 0.3)
    assert len(whole.starts_s) == 12 and (whole.starts_s[1], whole.ends_s[1]) == (1.0, 1.5)
    assert loops_from_timeline(None) == []
    assert rhythm_from_timeline(calls) == pytest.approx(0.1)
    prefills = [Generation(n, n + 0.2, n + 0.2, (n + 0.2,)) for n in range(3)]
    assert rhythm_from_timeline(prefills, prefill_only=True) == pytest.approx(0.2)
    assert rhythm_from_timeline(prefills) is None


def test_a_pause_is_in_the_budget_as_a_bound() -> None:
    span = Span("generate", 0.0, 10.0)
    entry = span.known("GPU-a", "gpu", "measured:x", 3000.0, [Component("noise", 1.0, "rate")])
    (_, pauses) = with_pauses(entry, 0.05).components
    # 15 J at most, either way.
    assert pauses.standard_j == pytest.approx(15 / 3**0.5) and "50 ms" in pauses.name
    assert with_pauses(entry, 0.05).energy_j == 3000.0

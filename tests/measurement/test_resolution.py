"""How long a window must be."""

from __future__ import annotations

import math

import pytest

from llenergymeasure.energy import PhaseEnergy
from llenergymeasure.energy.uncertainty import Component, Distribution, Kind
from llenergymeasure.measurement.window_length import LONGEST_S, reached, window_for


def window(duration_s: float, *, power_w: float = 300.0, edge_j: float = 0.0, noise_j: float = 0.0) -> PhaseEnergy:
    """A window whose noise is `noise_j` after one second, and whose sensor is ±5 % wrong."""
    budget: list[tuple[Kind, float, Distribution]] = [
        ("edge", edge_j, "normal"),
        ("rate", noise_j * math.sqrt(duration_s), "normal"),
        ("gain", 0.05 * power_w * duration_s, "rectangular"),
    ]
    components = tuple(Component(kind, value, kind, shape) for kind, value, shape in budget if value)
    return PhaseEnergy(power_w * duration_s, "measured:x", None, components, duration_s)


@pytest.mark.parametrize(("edge_j", "noise_j"), [(8.0, 0.0), (0.0, 3.0), (8.0, 3.0), (0.5, 0.1)])
@pytest.mark.parametrize("resolution", [0.001, 0.01, 0.1])
def test_a_window_of_that_length_has_just_that_resolution(edge_j: float, noise_j: float, resolution: float) -> None:
    needed_s = window_for(window(1.0, edge_j=edge_j, noise_j=noise_j), resolution)
    assert needed_s is not None
    if needed_s < LONGEST_S:
        assert reached(window(needed_s, edge_j=edge_j, noise_j=noise_j)) == pytest.approx(resolution, rel=1e-6)


def test_the_gain_asks_for_no_longer_window_and_an_estimate_for_none() -> None:
    assert window_for(window(1.0), 0.01) is None
    assert window_for(PhaseEnergy(None, None, "no meter"), 0.01) is None
    assert reached(window(1.0)) is None


def test_a_meter_that_is_all_noise_does_not_make_a_study_endless() -> None:
    assert window_for(window(1.0, noise_j=300.0), 0.01) == LONGEST_S

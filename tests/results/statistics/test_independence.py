"""A trend and a correlation of successive replicates are found, and found by chance as often as stated."""

from __future__ import annotations

import numpy as np
import pytest

from llenergymeasure.results.statistics.independence import Independence, independence

NAMES = {"a": "one", "b": "two"}


def series(rng: np.random.Generator, count: int, *, phi: float = 0.0, drift: float = 0.0) -> Independence | None:
    """Two sessions of one experiment each, with an autoregressive part of 1 % that both share."""
    shared = [rng.normal()]
    for _ in range(count - 1):
        shared.append(phi * shared[-1] + (1 - phi**2) ** 0.5 * rng.normal())
    logs = 0.01 * np.array(shared) + drift * np.arange(count)
    values = {
        name: {number: float(np.exp(log + rng.normal(0, 0.001))) for number, log in enumerate(logs, start=1)}
        for name in NAMES
    }
    return independence(values, NAMES)


@pytest.mark.parametrize(
    ("phi", "drift", "low", "high"), [(0.0, 0.0, 0.0, 0.12), (0.8, 0.0, 0.6, 1.0), (0, 0.01, 0.9, 1)]
)
def test_dependent_replicates_are_found(phi: float, drift: float, low: float, high: float) -> None:
    rng = np.random.default_rng(1)
    verdicts = [series(rng, 20, phi=phi, drift=drift) for _ in range(80)]
    assert low <= np.mean([verdict is not None and verdict.doubtful for verdict in verdicts]) <= high


def test_an_alternating_series_and_a_line_by_hand() -> None:
    line = {"a": {number: float(np.exp(0.02 * number)) for number in range(1, 7)}}
    found = independence(line, NAMES)
    assert found is not None and found.trend == pytest.approx(np.exp(0.02) - 1)
    assert found.trend_p == pytest.approx(2 / 720)
    alternating = {"a": {number: 1.0 + 0.01 * (-1) ** number for number in range(1, 7)}}
    other = independence(alternating, NAMES)
    assert other is not None and other.lag_one < 0 and other.effective == 6


def test_a_correlation_leaves_fewer_replicates() -> None:
    assert Independence(12, 0.0, 1.0, 0.5, 0.01).effective == pytest.approx(4.0)


def test_few_replicates_tell_nothing() -> None:
    assert independence({"a": {1: 1.0, 2: 1.1, 3: 1.2}}, NAMES) is None
    assert independence({"a": dict.fromkeys(range(1, 9), 2.0)}, NAMES) is None

"""The interval of a mean, instrument included, covers the true value as often as it says."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from llenergymeasure.records.measurement import BudgetRow
from llenergymeasure.results.statistics.columns import Groups, expanded_of_means
from llenergymeasure.results.statistics.instrument import expanded_of_mean, instrument

BOUND = 0.05


def budget(gains: list[float]) -> list[BudgetRow]:
    edge = BudgetRow(name="tick", standard_uncertainty=1e-6, kind="edge", distribution="rectangular")
    return [
        edge,
        *(BudgetRow(name="gain", standard_uncertainty=gain, kind="gain", distribution="rectangular") for gain in gains),
    ]


@pytest.mark.parametrize("devices", [1, 2, 3, 8])
def test_several_devices_each_with_its_own_gain(devices: int) -> None:
    """Each gives 1/devices J, wrong by up to 5 % for ever: with all taken for one rectangle only 89 % would hold."""
    rng = np.random.default_rng(devices)
    errors = rng.uniform(-BOUND, BOUND, (40_000, devices)).sum(axis=1) / devices
    of_meter = instrument(budget([BOUND / 3**0.5 / devices] * devices))
    assert of_meter.random is not None and of_meter.gain is not None and of_meter.other_gains is not None
    half = expanded_of_mean([1.0] * 3, [of_meter.random] * 3, [of_meter.gain] * 3, [of_meter.other_gains] * 3)
    assert half is not None
    assert 0.94 < np.mean(np.abs(errors) <= half) < 0.965


def test_a_column_of_experiments_gives_the_same_as_one_after_the_other() -> None:
    rng = np.random.default_rng(1)
    names = ["a", "b", "c"]
    owners = [name for name in names for _ in range(4)]
    values, random, gain, other = (rng.uniform(0.5, 1.0, 12) * scale for scale in (1.0, 0.01, 0.03, 0.02))
    values[10:] = math.nan  # two values are left of the third
    groups = Groups(names, pd.Series(owners))
    expanded = expanded_of_means(groups, values, random, gain, other, 0.97)
    for place in range(3):
        mine = [index for index in range(4 * place, 4 * place + 4) if not math.isnan(values[index])]
        one = expanded_of_mean(
            *([float(column[index]) for index in mine] for column in (values, random, gain, other)), 0.97
        )
        assert expanded[place] == pytest.approx(one, rel=1e-6)


def test_without_a_stated_uncertainty_there_is_no_interval() -> None:
    assert instrument([]).gain is None
    assert expanded_of_mean([1.0, 1.0], [], []) is None


def test_one_replicate_has_no_interval_since_nothing_tells_how_runs_scatter() -> None:
    assert expanded_of_mean([1.0], [0.001], [0.03]) is None
    alone = Groups(["a"], pd.Series(["a"]))
    one, small, gain, none = (np.array([value]) for value in (1.0, 0.001, 0.03, 0.0))
    assert np.isnan(expanded_of_means(alone, one, small, gain, none, 0.95)[0])

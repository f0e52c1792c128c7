"""Experiments and sessions that scatter more than the others."""

from __future__ import annotations

import numpy as np
import pytest

from llenergymeasure.results.statistics.split_plot import analyse
from llenergymeasure.results.statistics.strata.scatter import find_scatter


def test_a_session_whose_experiments_all_scatter_more_leaves_the_pool() -> None:
    rng = np.random.default_rng(1)
    sessions = {
        session: {
            f"{session}{setting}": {
                replicate: float(100 * (1 + sd * rng.standard_normal())) for replicate in range(1, 11)
            }
            for setting in range(2)
        }
        for session, sd in (("noisy", 0.1), ("quiet", 0.001), ("steady", 0.001))
    }
    scatter = find_scatter(sessions, blocked=True)
    assert "noisy" in scatter.sessions and scatter.alone["noisy"].residual > 0.05**2
    assert scatter.variances is not None and scatter.variances.residual < 0.002**2


@pytest.mark.parametrize("settings", [1, 3])
def test_of_two_sessions_in_blocks_a_noisy_one_leaves_the_other_its_intervals(settings: int) -> None:
    """Without the noisy one, blocks and processes could not be told apart."""
    rng = np.random.default_rng(2)
    values = {
        f"{session}{setting}": {number: float(1 + sd * rng.standard_normal()) for number in range(1, 6)}
        for session, sd in (("noisy", 0.1), ("quiet", 0.001))
        for setting in range(settings)
    }
    analysis = analyse(values, {name: name[:-1] for name in values}, blocked=True)
    names = list(values)
    between = analysis.difference(names[0], names[-1])
    assert between is not None and 0.005 < between.standard_error < 0.2
    if settings > 1:
        quiet, noisy = analysis.difference("quiet0", "quiet1"), analysis.difference("noisy0", "noisy1")
        assert quiet is not None and noisy is not None
        assert quiet.standard_error < 0.002 and noisy.standard_error > 0.02

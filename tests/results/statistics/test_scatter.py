"""Experiments and sessions that scatter more than the others."""

from __future__ import annotations

import numpy as np

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

"""Whether replicates are independent, as every interval over them assumes: trend and correlation of successive ones."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from llenergymeasure.results.statistics.strata.sums_of_squares import Floats, Values

# With fewer replicates in order nothing can be told.
FEWEST = 5
ENUMERATED = 7
DRAWS = 2000
SEED = 20_261_128
LEVEL = 0.05


@dataclass(frozen=True)
class Independence:
    """Of one metric, over all sessions.

    trend: relative change per replicate; trend_p: share of orders of the replicates with a trend as strong
    lag_one: correlation of successive replicates, corrected for the mean being estimated; lag_one_p: share of orders
        with one as large
    effective: to how many independent replicates `replicates` amount, n·(1 − φ)/(1 + φ) for a correlation φ above 0
        (Bayley & Hammersley 1946, Supplement to the Journal of the Royal Statistical Society 8)
    """

    replicates: int
    trend: float
    trend_p: float
    lag_one: float
    lag_one_p: float

    @property
    def effective(self) -> float:
        phi = min(max(self.lag_one, 0.0), 0.99)
        return self.replicates * (1 - phi) / (1 + phi)

    @property
    def doubtful(self) -> bool:
        """Whether one of the two is significant: each is tested at half of `LEVEL`."""
        return min(self.trend_p, self.lag_one_p) <= LEVEL / 2


def independence(values: Values, session_ids: Mapping[str, str]) -> Independence | None:
    """None with fewer than `FEWEST` replicates, or where nothing scatters.

    A permutation test: if replicates are independent, each order of them is as likely as any other. The same order is
    taken for all sessions, since what a replicate of one session shares with that of another is no evidence.
    """
    series = _series(values, session_ids)
    if series is None:
        return None
    count = series.shape[1]
    rng = np.random.default_rng(SEED)
    orders = (
        np.array(list(itertools.permutations(range(count))))
        if count <= ENUMERATED
        else np.vstack([np.arange(count), *(rng.permutation(count) for _ in range(DRAWS))])
    )
    # Both are linear in the series' products, which do not change with the order.
    products, mean = series.T @ series, series.mean(axis=0)
    places = np.arange(count) - (count - 1) / 2
    slopes = (mean[orders] @ places) / float(places @ places)
    lags = products[orders[:, :-1], orders[:, 1:]].sum(axis=1) / np.trace(products)
    correlation = (count * lags[0] + 1) / (count - 1)
    return Independence(
        count,
        math.exp(float(slopes[0])) - 1,
        float(np.mean(np.abs(slopes) >= abs(slopes[0]) - 1e-15)),
        float(correlation),
        float(np.mean(lags >= lags[0] - 1e-12)),
    )


def _series(values: Values, session_ids: Mapping[str, str]) -> Floats | None:
    """Sessions × replicates: mean logarithm of a process, less that of its session; complete experiments only."""
    replicates = sorted({replicate for figures in values.values() for replicate in figures})
    if len(replicates) < FEWEST:
        return None
    rows: dict[str, list[list[float]]] = {}
    for name, figures in values.items():
        if len(figures) == len(replicates):
            rows.setdefault(session_ids[name], []).append([math.log(figures[number]) for number in replicates])
    if not rows:
        return None
    means = np.array([np.mean(logs, axis=0) for logs in rows.values()])
    series: Floats = means - means.mean(axis=1, keepdims=True)
    return series if float(np.sum(series**2)) > 1e-18 else None

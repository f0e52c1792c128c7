"""Intervals that hold for several comparisons at once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations

import numpy as np

from llenergymeasure.results.statistics.estimates import Ratio
from llenergymeasure.results.statistics.split_plot import Difference, Floats, SplitPlot, Variances, critical_t

DRAWS = 10_000
SEED = 20_241_123
# Above this many drawn figures Šidák's bound is used: the simulation would take seconds, and its gain is small.
LARGEST = 4_000_000


@dataclass(frozen=True)
class Comparisons:
    """Comparisons of a study that hold at once, and the |t| from which on one of them is distinguishable."""

    differences: Sequence[Difference]
    critical: float


def comparisons_to(analysis: SplitPlot, reference: str, others: Sequence[str]) -> Comparisons | None:
    """Each of the others against the reference; None where nothing was repeated or there is nothing to compare."""
    return _comparisons(analysis, [(name, reference) for name in others])


def comparisons_among(analysis: SplitPlot, names: Sequence[str]) -> Comparisons | None:
    """All pairs of these. Where there are too many, only those with the first; Šidák's bound still counts all pairs.

    For comparisons with an experiment that was chosen because of its figure: whichever pair is examined afterwards, it
    is one of all pairs (Tukey's argument).
    """
    count = len(names) * (len(names) - 1) // 2
    if DRAWS * count > LARGEST:
        return _comparisons_with_first(analysis, names, count)
    return _comparisons(analysis, [(other, one) for one, other in combinations(names, 2)])


def ratios_to(analysis: SplitPlot, reference: str, others: Sequence[str]) -> dict[str, Ratio]:
    """Each experiment over the reference, with intervals that hold for all of them at once (95 %)."""
    return ratios_from_comparisons(analysis, comparisons_to(analysis, reference, others), others, reference)


def _comparisons(analysis: SplitPlot, pairs: Sequence[tuple[str, str]]) -> Comparisons | None:
    differences = _differences(analysis, pairs)
    return Comparisons(differences, _critical(analysis, differences)) if differences else None


def _differences(analysis: SplitPlot, pairs: Sequence[tuple[str, str]]) -> list[Difference]:
    return [difference for pair in pairs if (difference := analysis.difference(*pair)) is not None]


def _comparisons_with_first(analysis: SplitPlot, names: Sequence[str], count: int) -> Comparisons | None:
    """Of `count` pairs, those with the first and some of each kind: 10,000 experiments have 50 million pairs."""
    first, *others = names
    neighbours: dict[str, tuple[str, str]] = {}
    last: dict[str, str] = {}
    for name in names:
        session = analysis.session_ids[name]
        if session in last:
            neighbours.setdefault(session, (name, last[session]))
        last[session] = name
    pairs = [*((other, first) for other in others), *neighbours.values()]
    differences = _differences(analysis, pairs)
    return Comparisons(differences, _sidak(analysis, differences, count)) if differences else None


def ratios_from_comparisons(
    analysis: SplitPlot, comparisons: Comparisons | None, others: Sequence[str], reference: str
) -> dict[str, Ratio]:
    """The others over the reference, with the intervals of these comparisons; without them, no intervals."""
    if comparisons is None:
        return {name: Ratio(_plain(analysis, name, reference), None, None) for name in others}
    return {
        difference.one: Ratio(
            math.exp(difference.value),
            math.exp(difference.value - comparisons.critical * difference.standard_error),
            math.exp(difference.value + comparisons.critical * difference.standard_error),
        )
        for difference in comparisons.differences
        if difference.other == reference
    }


def _plain(analysis: SplitPlot, name: str, reference: str) -> float:
    one, other = analysis.values[name].values(), analysis.values[reference].values()
    return math.exp(math.fsum(map(math.log, one)) / len(one) - math.fsum(map(math.log, other)) / len(other))


def _critical(analysis: SplitPlot, differences: Sequence[Difference]) -> float:
    """The 95 % quantile of the largest |t| of these differences, or of the level that corrects for interim analyses.

    Hothorn, Bretz & Westfall (2008), Biometrical Journal 50: the differences share experiments, processes and variance
    estimates, so their joint distribution is drawn (seeded), with the estimated variances: errors of the means, and
    the mean squares that studentise each difference. One comparison is Student's t.
    """
    assert analysis.variances is not None
    bound = _sidak(analysis, differences, len(differences))
    if len(differences) == 1:
        return bound
    if DRAWS * len(differences) > LARGEST:
        return bound
    names = sorted({name for difference in differences for name in (difference.one, difference.other)})
    places = {name: place for place, name in enumerate(names)}
    sessions = sorted({analysis.session_ids[name] for name in names})
    return min(
        bound,
        _drawn(
            analysis.variances,
            tuple(sessions.index(analysis.session_ids[name]) for name in names),
            tuple(tuple(sorted(analysis.values[name])) for name in names),
            tuple(
                (places[difference.one], places[difference.other], difference.same_session)
                for difference in differences
            ),
            analysis.level,
        ),
    )


def _sidak(analysis: SplitPlot, differences: Sequence[Difference], count: int) -> float:
    """The critical value for `count` comparisons whatever they share; one is Student's t."""
    return critical_t(min(difference.df for difference in differences), analysis.level ** (1 / count))


@lru_cache(maxsize=256)
def _drawn(
    variances: Variances,
    sessions: tuple[int, ...],
    replicates: tuple[tuple[int, ...], ...],
    pairs: tuple[tuple[int, int, bool], ...],
    level: float,
) -> float:
    rng = np.random.default_rng(SEED)
    process_sd, residual_sd = math.sqrt(variances.process), math.sqrt(variances.residual)
    every = sorted({replicate for of_one in replicates for replicate in of_one})
    processes = rng.standard_normal((DRAWS, max(sessions) + 1, len(every))) * process_sd
    residuals, means = [], []
    for session, of_one in zip(sessions, replicates, strict=True):
        own = rng.standard_normal(DRAWS) * residual_sd / math.sqrt(len(of_one))
        residuals.append(own)
        means.append(own + processes[:, session, [every.index(replicate) for replicate in of_one]].mean(axis=1))
    between, within = _mean_squares(variances, rng)
    share = variances.between_df / variances.size if variances.within is not None else 1.0
    of_one_figure = share * between + (1 - share) * within
    largest = np.zeros(DRAWS)
    for one, other, same_session in pairs:
        if same_session:
            error = residuals[one] - residuals[other]
            variance = 2 * within / min(len(replicates[one]), len(replicates[other]))
        else:
            error = means[one] - means[other]
            variance = of_one_figure * (1 / len(replicates[one]) + 1 / len(replicates[other]))
        with np.errstate(divide="ignore", invalid="ignore"):
            largest = np.fmax(largest, np.abs(error) / np.sqrt(variance))
    return float(np.quantile(largest, level))


def _mean_squares(variances: Variances, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Mean squares of both strata in each draw, around their expectation with the estimated variances."""
    expected = variances.residual + variances.size / variances.between_df * variances.process
    between = expected * rng.chisquare(variances.between_df, DRAWS) / variances.between_df
    if variances.within is None:
        return variances.process * rng.chisquare(variances.between_df, DRAWS) / variances.between_df, np.zeros(DRAWS)
    return between, variances.within * rng.chisquare(variances.within_df, DRAWS) / variances.within_df

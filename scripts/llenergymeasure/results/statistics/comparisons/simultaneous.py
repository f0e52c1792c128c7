"""Intervals that hold for several comparisons at once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from llenergymeasure.results.statistics.comparisons.drawing import DRAWS, Design, Pair, drawn_level
from llenergymeasure.results.statistics.estimates import Ratio, ratio_from_logs
from llenergymeasure.results.statistics.gains import uncancelled, widened
from llenergymeasure.results.statistics.split_plot import Difference, SplitPlot, log_mean
from llenergymeasure.results.statistics.strata.variances import critical_t

# Above this many drawn figures Šidák's bound is used: the simulation would take seconds, and its gain is small.
LARGEST = 4_000_000
# A relative difference below this is the rounding of binary numbers, so such figures are equal.
ROUNDING = 1e-9


@dataclass(frozen=True)
class Comparisons:
    """Comparisons of a study that hold at once.

    single_level: the level of each interval on its own, so that all hold at once at the study's level
    """

    differences: Sequence[Difference]
    single_level: float

    def half_width(self, analysis: SplitPlot, difference: Difference) -> float:
        """Of log(one / other), with the gains that do not cancel; infinite where nothing tells its scatter."""
        if not math.isfinite(difference.standard_error):
            return math.inf
        gains = analysis.gains
        bound = uncancelled(gains.get(difference.one, {}), gains.get(difference.other, {}))
        random = critical_t(difference.df, self.single_level) * difference.standard_error
        return max(widened(random, self.single_level, bound), ROUNDING)


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


def ratios_from_comparisons(
    analysis: SplitPlot, comparisons: Comparisons | None, others: Sequence[str], reference: str
) -> dict[str, Ratio]:
    """The others over the reference, with the intervals of these comparisons; without them, no intervals."""
    if comparisons is None:
        return {name: Ratio(_plain(analysis, name, reference), None, None) for name in others}
    ratios = {}
    for difference in comparisons.differences:
        if difference.other == reference:
            half_width = comparisons.half_width(analysis, difference)
            ratios[difference.one] = ratio_from_logs(difference.value, half_width)
    return ratios


def _comparisons(analysis: SplitPlot, pairs: Sequence[tuple[str, str]]) -> Comparisons | None:
    differences = differences_of_pairs(analysis, pairs)
    return Comparisons(differences, single_level(analysis, differences)) if differences else None


def differences_of_pairs(analysis: SplitPlot, pairs: Sequence[tuple[str, str]]) -> list[Difference]:
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
    differences = differences_of_pairs(analysis, pairs)
    return Comparisons(differences, _sidak(analysis.level, count)) if differences else None


def _plain(analysis: SplitPlot, name: str, reference: str) -> float:
    return math.exp(log_mean(analysis.values[name].values()) - log_mean(analysis.values[reference].values()))


def single_level(analysis: SplitPlot, differences: Sequence[Difference], one_sided: bool = False) -> float:
    """The level of each interval with which all of these hold at once.

    Hothorn, Bretz & Westfall (2008), Biometrical Journal 50: the differences share experiments, processes and variance
    estimates. Their joint distribution is drawn (seeded) with the estimated variances, a parametric bootstrap: the
    errors of the figures, and the mean squares that studentise each difference. One comparison has the study's level.

    one_sided: the bounds `value - half width` hold, not those on the other side
    """
    assert analysis.variances is not None
    bound = (one_sided_bound if one_sided else _sidak)(analysis.level, len(differences))
    names = sorted({name for difference in differences for name in (difference.one, difference.other)})
    cells = sum(len(analysis.values[name]) for name in names)
    if len(differences) == 1 or DRAWS * max(cells, len(differences)) > LARGEST:
        return bound
    places = {name: place for place, name in enumerate(names)}
    sessions = sorted({analysis.session_ids[name] for name in names})
    scatter = analysis.scatter
    drawn = drawn_level(
        Design(
            analysis.variances,
            tuple(sessions.index(analysis.session_ids[name]) for name in names),
            tuple(tuple(sorted(analysis.values[name])) for name in names),
            tuple(round(_ratio(analysis, name), 3) for name in names),
            tuple(round(scatter.sessions.get(name, 1.0), 3) for name in sessions),
            tuple(scatter.alone[name].df if name in scatter.alone else 0 for name in sessions),
            tuple(
                Pair(places[it.one], places[it.other], it.same_session, it.own and math.isfinite(it.standard_error))
                for it in differences
                if math.isfinite(it.standard_error)
            ),
        ),
        analysis.level,
        one_sided,
    )
    return min(bound, drawn)


def _ratio(analysis: SplitPlot, name: str) -> float:
    """How many times an experiment's residual variance is the pooled one."""
    alone = analysis.scatter.alone.get(analysis.session_ids[name])
    return analysis.scatter.experiments.get(name, 1.0) * (alone.ratio if alone else 1.0)


def _sidak(level: float, count: int) -> float:
    """The level for `count` comparisons whatever they share (Šidák 1967, JASA 62)."""
    return level ** (1 / count)


def one_sided_bound(level: float, count: int) -> float:
    """As `_sidak`, of intervals that hold on one side: the level of a two-sided one of the same width."""
    return 2 * _sidak(level, count) - 1

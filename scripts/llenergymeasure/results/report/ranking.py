"""Which configuration is best, by how much, and whether the data can tell."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import groupby

from llenergymeasure.records.metrics import METRICS
from llenergymeasure.results.reading.read import StudyResults
from llenergymeasure.results.report.experiments import ENERGY, SPEED, Experiment, is_estimated
from llenergymeasure.results.statistics.analysis import analyse_metric
from llenergymeasure.results.statistics.comparable import account_from_parts
from llenergymeasure.results.statistics.comparisons.best_set import interval_of_chosen, may_be_best
from llenergymeasure.results.statistics.comparisons.power import detectable
from llenergymeasure.results.statistics.comparisons.simultaneous import comparisons_among, ratios_from_comparisons
from llenergymeasure.results.statistics.estimates import Ratio
from llenergymeasure.results.statistics.split_plot import SplitPlot, log_mean


@dataclass(frozen=True)
class Group:
    """Experiments whose energy is of one source and boundary (None: unknown), best first. Groups are never merged."""

    source: str | None
    boundary: str | None
    experiments: list[Experiment]

    @property
    def account(self) -> str | None:
        """Source and boundary in one text, as in the tables' statistics."""
        return account_from_parts(self.source, self.boundary)

    @property
    def estimated(self) -> bool:
        return is_estimated(self.source)


@dataclass(frozen=True)
class Best:
    """The best by one metric, the runner-up, and how many times larger the runner-up's figure is.

    may_be_best: all that the data do not show to be worse than another, best first; the first is one of them
    interval: of the first, so wide that it holds although the first was chosen among `ranked` by its figure
    ratio: with the interval that holds for all pairs at once, since the data chose both
    apart: whether the first alone may be the best, and the intervals of all pairs set it apart from every other
    common: how many replicates it rests on that both have, where one of them has others too; else None
    detectable: the smallest relative difference of such a pair that most studies like this one detect; None without
        replicates
    estimated: the figure follows from time and load, so nothing is said about differences
    with_suspects: the same over all runs, where suspect ones were left out
    """

    metric: str
    first: Experiment
    ranked: int
    may_be_best: list[Experiment]
    interval: Ratio | None = None
    second: Experiment | None = None
    ratio: Ratio | None = None
    apart: bool = False
    common: int | None = None
    detectable: float | None = None
    estimated: bool = False
    with_suspects: Best | None = None


Analyses = Callable[[str, str | None, bool], SplitPlot]
"""metric, source and boundary of the energy, with suspect runs → the analysis of the study"""


def analyses_of_study(study: StudyResults) -> Analyses:
    """Each is made once."""

    @cache
    def analysis(metric: str, account: str | None, with_suspects: bool) -> SplitPlot:
        return analyse_metric(study.runs, metric, account, study.plan.nominal_level, with_suspects)

    return analysis


def groups_by_source(experiments: Sequence[Experiment]) -> list[Group]:
    """Ranked experiments by source and boundary of their energy: measured, then estimated, then unknown.

    Inside a group by energy per output token, lowest first; where energy is unknown, by throughput.
    """
    ranked = [experiment for experiment in experiments if experiment.ranked]
    by_account: dict[tuple[str, str], list[Experiment]] = {}
    for experiment in ranked:
        if experiment.mean(ENERGY) is not None:
            by_account.setdefault((experiment.energy_source or "", experiment.boundary or ""), []).append(experiment)
    accounts = sorted(by_account, key=lambda account: (is_estimated(account[0]), account))
    groups = [Group(*account, in_order(by_account[account], ENERGY)) for account in accounts]
    unknown = [experiment for experiment in ranked if experiment.mean(ENERGY) is None]
    return [*groups, Group(None, None, in_order(unknown, SPEED))] if unknown else groups


def in_order(experiments: Sequence[Experiment], metric: str) -> list[Experiment]:
    """Best first by the geometric mean over replicates, which ratios are of too; unknown ones last.

    Equal ones keep the plan's order. A figure that is not positive has no geometric mean; it is ranked by its mean.
    """
    sign = -1 if METRICS[metric].higher_is_better else 1

    def key(experiment: Experiment) -> tuple[bool, float]:
        mean = experiment.mean(metric)
        figures = list(experiment.values.get(metric, {}).values())
        if figures and min(figures) > 0:
            mean = math.exp(log_mean(figures))
        return mean is None, 0.0 if mean is None else sign * mean

    return sorted(experiments, key=key)


def best(experiments: Sequence[Experiment], metric: str, analyses: Analyses) -> Best | None:
    """The best of these, whose figures must be comparable; None where none has a figure."""
    known = [experiment for experiment in in_order(experiments, metric) if experiment.mean(metric) is not None]
    if not known:
        return None
    energy = METRICS[metric].energy
    source = known[0].energy_source
    account = account_from_parts(source, known[0].boundary) if energy else None
    winner = _best(known, metric, analyses(metric, account, False))
    winner = replace(winner, estimated=energy and is_estimated(source))
    if not any(experiment.suspect_left_out for experiment in known):
        return winner
    every = analyses(metric, account, True)
    reordered = sorted(
        (experiment for experiment in known if experiment.experiment_id in every.values),
        key=lambda experiment: log_mean(every.values[experiment.experiment_id].values()),
        reverse=bool(METRICS[metric].higher_is_better),
    )
    return replace(winner, with_suspects=_best(reordered, metric, every)) if reordered else winner


def _best(known: Sequence[Experiment], metric: str, analysis: SplitPlot) -> Best:
    """known: best first"""
    first = known[0]
    by_id = {experiment.experiment_id: experiment for experiment in known}
    names = [name for name in by_id if name in analysis.values]
    if first.experiment_id not in names:
        # A figure that is not positive has no logarithm.
        return Best(metric, first, len(known), [first], second=known[1] if len(known) > 1 else None)
    interval = interval_of_chosen(analysis, first.experiment_id, len(names))
    if len(names) == 1:
        return Best(metric, first, 1, [first], interval, known[1] if len(known) > 1 else None)
    second = by_id[names[1]]
    comparisons = comparisons_among(analysis, names)
    ratios = ratios_from_comparisons(analysis, comparisons, names[1:], first.experiment_id)
    changes = {item.same_session: item.change for item in detectable(analysis, comparisons)}
    candidates = may_be_best(analysis, names, bool(METRICS[metric].higher_is_better))
    all_differ = len(names) == len(known) and all(ratio.distinguishable for ratio in ratios.values())
    return Best(
        metric,
        first,
        len(names),
        [by_id[name] for name in candidates],
        interval,
        second,
        ratios[second.experiment_id],
        all_differ and candidates == [first.experiment_id],
        _fewer_in_common(analysis, first.experiment_id, second.experiment_id),
        changes.get(first.session_id == second.session_id),
    )


def _fewer_in_common(analysis: SplitPlot, one: str, other: str) -> int | None:
    difference = analysis.difference(one, other)
    if difference is None or difference.common is None:
        return None
    most = max(len(analysis.values[name]) for name in (one, other))
    return difference.common if difference.common < most else None


def pareto_front(experiments: Sequence[Experiment]) -> list[Experiment]:
    """Those that no other beats in both means, energy per output token and throughput; slowest first.

    One as good as another in both, and better in one, beats it. Of equals all stay.
    """
    known = [
        experiment
        for experiment in experiments
        if experiment.mean(ENERGY) is not None and experiment.mean(SPEED) is not None
    ]
    front: list[Experiment] = []
    best_energy = float("inf")
    # From the fastest to the slowest: of each speed those that need the least, if that is less than all faster ones.
    for _, equals in groupby(sorted(known, key=_speed, reverse=True), key=_speed):
        same_speed = list(equals)
        least = min(map(_energy, same_speed))
        if least < best_energy:
            front += [experiment for experiment in reversed(same_speed) if _energy(experiment) == least]
            best_energy = least
    return front[::-1]


def _speed(experiment: Experiment) -> float:
    return experiment.mean(SPEED) or 0.0


def _energy(experiment: Experiment) -> float:
    return experiment.mean(ENERGY) or 0.0

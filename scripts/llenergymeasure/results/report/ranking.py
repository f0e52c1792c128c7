"""Which configuration is best, by how much, and whether the data can tell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from llenergymeasure.records.metrics import METRICS
from llenergymeasure.results.report.experiments import ENERGY, SPEED, Experiment, is_estimated
from llenergymeasure.results.statistics.comparable import account_from_parts
from llenergymeasure.results.statistics.estimates import Ratio
from llenergymeasure.results.statistics.power import detectable
from llenergymeasure.results.statistics.simultaneous import comparisons_among, ratios_from_comparisons
from llenergymeasure.results.statistics.split_plot import SplitPlot, analyse


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

    detectable: the smallest relative difference of such a pair that most studies like this one detect; None without
        replicates
    """

    metric: str
    first: Experiment
    second: Experiment | None
    ratio: Ratio | None
    detectable: float | None = None


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
    """Best first by the mean; unknown ones last. Equal ones keep the plan's order."""
    sign = -1 if METRICS[metric].higher_is_better else 1

    def key(experiment: Experiment) -> tuple[bool, float]:
        mean = experiment.mean(metric)
        return mean is None, 0.0 if mean is None else sign * mean

    return sorted(experiments, key=key)


def best(experiments: Sequence[Experiment], metric: str) -> Best | None:
    """The best of these, whose figures must be comparable; None where none has a figure."""
    known = [experiment for experiment in in_order(experiments, metric) if experiment.mean(metric) is not None]
    if not known:
        return None
    if len(known) == 1:
        return Best(metric, known[0], None, None)
    first, second = known[:2]
    # A figure that is not positive has no logarithm.
    if any(value <= 0 for experiment in (first, second) for value in experiment.values[metric].values()):
        return Best(metric, first, second, None)
    analysis = _analysis(known, metric)
    others = [name for name in analysis.values if name != first.experiment_id]
    # Both were picked by their figures, so the interval must hold for all pairs of these experiments at once.
    comparisons = comparisons_among(analysis, [first.experiment_id, *others])
    ratio = ratios_from_comparisons(analysis, comparisons, others, first.experiment_id)[second.experiment_id]
    same_session = first.session_id == second.session_id
    changes = {difference.same_session: difference.change for difference in detectable(analysis, comparisons)}
    return Best(metric, first, second, ratio, changes.get(same_session))


def _analysis(known: Sequence[Experiment], metric: str) -> SplitPlot:
    positive = [experiment for experiment in known if min(experiment.values[metric].values()) > 0]
    values = {experiment.experiment_id: experiment.values[metric] for experiment in positive}
    sessions = {experiment.experiment_id: experiment.session_id for experiment in positive}
    return analyse(values, sessions, positive[0].level)


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

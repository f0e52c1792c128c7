"""A claim: a design of studies, what is counted in each study, and the limits of its share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmarks.verdicts.judged import REFERENCE, named_best, reference_ratios
from benchmarks.verdicts.studies import Design, Run

# Those of a pair are quick to analyse.
STUDIES, STUDIES_OF_PAIR = 500, 1000


@dataclass(frozen=True)
class Claim:
    """`event` happens in at most `at_most`, or at least `at_least`, of the studies of this design; both None: no limit

    event: whether a study, given as its runs, counts
    times: as many studies as other claims have, since the true share is near the limit
    """

    design: Design
    event: Callable[[Sequence[Run]], bool]
    at_most: float | None = None
    at_least: float | None = None
    times: int = 1

    @property
    def studies(self) -> int:
        return self.times * (STUDIES_OF_PAIR if len(self.design.experiments) == 2 else STUDIES)

    @property
    def limit(self) -> str:
        if self.at_most is not None:
            return f"limit {self.at_most:.0%}"
        return "no limit" if self.at_least is None else f"at least {self.at_least:.0%}"

    def holds(self, share: float) -> bool:
        return (self.at_most is None or share <= self.at_most) and (self.at_least is None or share >= self.at_least)


def any_equal_differs(runs: Sequence[Run]) -> bool:
    """Whether at least one experiment that equals the reference is distinguishable from it: familywise."""
    equal = {run.experiment for run in runs if run.truth == 1.0}
    return any(ratio.distinguishable for name, ratio in reference_ratios(runs).items() if name in equal)


def difference_is_detected(runs: Sequence[Run]) -> bool:
    """Whether each experiment that differs from the reference is distinguishable from it, in the right direction."""
    truths = {run.experiment: run.truth for run in runs if run.truth != 1.0}
    ratios = reference_ratios(runs)
    return all(
        bool(ratios[name].distinguishable) and (ratios[name].value > 1) == (truth > 1) for name, truth in truths.items()
    )


def best_is_covered(runs: Sequence[Run]) -> bool:
    """Whether the interval of the experiment that is named best covers its true value."""
    winner = named_best(runs)
    interval = winner.interval
    assert interval is not None and interval.low is not None and interval.high is not None
    truth = next(run.truth for run in runs if run.experiment == winner.first.experiment_id)
    return interval.low <= truth <= interval.high


def first_is_apart(runs: Sequence[Run]) -> bool:
    """Whether the headline calls the first distinguishable from all others."""
    return named_best(runs).apart


def reference_may_be_best(runs: Sequence[Run]) -> bool:
    """Whether the reference is in the set of those that may be the best. Where all are equal, it is one of the best."""
    return any(experiment.experiment_id == REFERENCE for experiment in named_best(runs).may_be_best)

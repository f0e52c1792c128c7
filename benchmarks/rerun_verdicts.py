"""Claims: a rerun calls nothing "different" that did not change, and nothing "same" that its margin does not cover.

500 simulated studies for each line, each measured on two days: 2 setups × 4 settings whose figures vary from process to
process and inside one, with 3, 5 and 10 replicates. A day moves the figures of all configurations together, or those of
each setup by themselves. Nothing else ever changes. What is printed is the share of *studies* in which at least one of
the eight configurations gets the verdict. Two shares are limited:

* "different" at the default margin, where days do not differ, and where they differ by a standard deviation of 1 %
* "same" at a margin of 0.5 %, where days differ by 1 %: two days that happen to agree say little about a third

How often nothing changed is *found* to be the same, at the default margin, is printed and not limited.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Iterator
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "scripts")]

STUDIES = 500
REPLICATES = (3, 5, 10)
SPREADS = (0.001, 0.005, 0.01)
SETUPS, SETTINGS = 2, 4
DAY_SD, NARROW = 0.01, 0.005
LIMIT = 0.05


def main() -> bool:
    from llenergymeasure.records.study.equivalence import DIFFERENT, SAME, Equivalence

    default, narrow, bare = Equivalence(), Equivalence(margin=NARROW), Equivalence(margin=NARROW, day_sd=0.0)
    holds = []
    for replicates, spread in product(REPLICATES, SPREADS):
        (quiet,) = _verdicts(_studies(replicates, spread, 0.0, apart=False), default)
        together = _verdicts(_studies(replicates, spread, DAY_SD, apart=False), default, narrow, bare)
        apart = _verdicts(_studies(replicates, spread, DAY_SD, apart=True), default, narrow, bare)
        changed = [_any(study == DIFFERENT) for study in (quiet, together[0], apart[0])]
        too_sure = [_any(study == SAME) for study in (together[1], apart[1])]
        print(
            f"rerun_verdicts: {replicates} replicates of {spread:.1%}: nothing changed, called different in "
            f"{changed[0]:.1%}, with days of {DAY_SD:.0%} in {changed[1]:.1%} and {changed[2]:.1%} "
            f"(limit {LIMIT:.0%}); days of {DAY_SD:.0%} called same at a margin of {NARROW:.1%} in "
            f"{too_sure[0]:.1%} and {too_sure[1]:.1%} (limit {LIMIT:.0%}; {_any(together[2] == SAME):.1%} if days are "
            "taken as equal); "
            f"nothing changed, found the same at {default.margin:.0%}: {(quiet == SAME).mean():.1%} of configurations, "
            f"all of them in {(quiet == SAME).all(axis=1).mean():.1%}"
        )
        holds.append(max(*changed, *too_sure) <= LIMIT)
    return all(holds)


def _any(which: Any) -> float:
    """Share of the studies in which at least one configuration is so."""
    return float(which.any(axis=1).mean())


def _verdicts(studies: Iterable[tuple[Any, Any]], *rules: Any) -> Any:
    """Answers by rule, study and configuration."""
    from llenergymeasure.results.statistics.equivalence import judge, log_ratio

    answers = []
    for old, new in studies:
        ratios = [[log_ratio(old, new, name, rule.day_sd) for name in old.values] for rule in rules]
        answers.append(
            [
                [judge(ratio, rule.margin, len(row)).answer for ratio in row if ratio is not None]
                for rule, row in zip(rules, ratios, strict=True)
            ]
        )
    return np.array(answers).swapaxes(0, 1)


def _studies(replicates: int, spread: float, day_sd: float, *, apart: bool) -> Iterator[tuple[Any, Any]]:
    """Pairs of analyses, old and new. Half of the variance of a replicate is its process's.

    apart: each setup has days of its own
    """
    from llenergymeasure.results.statistics.split_plot import analyse

    rng = np.random.default_rng([replicates, round(1e6 * spread), round(1e6 * day_sd), apart])
    names = [(f"setup{setup}", f"setup{setup}/{setting}") for setup in range(SETUPS) for setting in range(SETTINGS)]
    part = spread / math.sqrt(2)
    for _ in range(STUDIES):
        truth = {name: rng.uniform(0.1, 5.0) for _, name in names}
        sides = []
        for _ in ("old", "new"):
            together = day_sd * rng.standard_normal()
            days = {setup: day_sd * rng.standard_normal() if apart else together for setup, _ in names}
            process = {setup: part * rng.standard_normal(replicates) for setup in days}
            values = {
                name: dict(
                    enumerate(
                        truth[name] * np.exp(days[setup] + process[setup] + part * rng.standard_normal(replicates)), 1
                    )
                )
                for setup, name in names
            }
            sides.append(analyse(values, {name: setup for setup, name in names}))
        yield sides[0], sides[1]


if __name__ == "__main__":
    raise SystemExit(not main())

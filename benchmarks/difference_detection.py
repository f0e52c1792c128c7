"""Claims: identical configurations are distinguished in at most 5 % of studies, a 2 % difference is found in 80 %.

500 simulated studies each, of 2 setups × 4 settings, with figures that vary by 1 % from process to process and by 0.5 %
inside one. They go through the analysis of every study. The benchmark compares pairs in a study of eight, with the
intervals that hold for all at once. It also compares pairs that are alone in a study: there the test is exact, and 5 %
is met up to the scatter of 500 draws. The number of replicates is the one that config/README.md recommends for
differences of 2 %.
"""

from __future__ import annotations

import math
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "scripts"), str(ROOT / "tests")]

STUDIES = 500
REPLICATES = 10
DIFFERENCE = 1.02
FALSE_LIMIT, FOUND_LIMIT = 0.05, 0.80
# Three standard errors of a share of 5 % in 500 draws.
SCATTER = 3 * math.sqrt(0.05 * 0.95 / STUDIES)


def main() -> bool:
    holds = []
    for words, one in (("the same setup", "l0s1"), ("different setups", "l1s0")):
        false, detected = _share(one, 1.0, 2, 4), _share(one, DIFFERENCE, 2, 4)
        setups, settings = (1, 2) if one == "l0s1" else (2, 1)
        alone = _share(one, 1.0, setups, settings)
        print(
            f"difference_detection: {words}, {REPLICATES} replicates, {STUDIES} studies of 8 configurations: identical "
            f"ones differ in {false:.1%} (limit {FALSE_LIMIT:.0%}), a difference of 2 % is found in {detected:.1%} "
            f"(limit {FOUND_LIMIT:.0%}); a pair alone in its study differs in {alone:.1%}"
        )
        holds += [false <= FALSE_LIMIT, detected >= FOUND_LIMIT, alone <= FALSE_LIMIT + SCATTER]
    return all(holds)


def _share(one: str, effect: float, setups: int, settings: int) -> float:
    """Share of studies in which `one` is distinguishable from the reference, l0s0."""
    from results.statistics.simulated_studies import simulated

    from llenergymeasure.results.statistics.comparisons.simultaneous import ratios_to

    rng = np.random.default_rng(STUDIES)
    distinguished = 0
    for _ in range(STUDIES):
        analysis = simulated(rng, setups=setups, settings=settings, replicates=REPLICATES, effects={one: effect})
        others = [name for name in analysis.values if name != "l0s0"]
        distinguished += bool(ratios_to(analysis, "l0s0", others)[one].distinguishable)
    return distinguished / STUDIES


if __name__ == "__main__":
    raise SystemExit(not main())

"""Claim: the intervals of a study that stops by itself cover the true value in 95 % of 1,000 studies.

Each study has one experiment with normal replicates, at least 3 and at most 30, and a target of ± 1 % of the mean. It
goes through the interim analysis that decides in the pipeline, and through the estimate of the summary. The spreads
range from a tenth of a percent, where the first interim analysis suffices, to 5 %, where no number of replicates does.
For comparison, the benchmark prints the coverage of Student's uncorrected interval. The limit allows for the scatter of
1,000 draws of an event of 95 %: two standard errors.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "scripts"), str(ROOT / "tests")]

STUDIES = 1000
FIRST, LAST, TARGET = 3, 30, 0.01
SPREADS = (0.001, 0.005, 0.01, 0.015, 0.02, 0.05)
LIMIT = 0.95 - 2 * (0.95 * 0.05 / STUDIES) ** 0.5
METRIC = "energy_per_output_token_j"


def main() -> bool:
    from llenergymeasure.results.statistics.sequential import nominal_level

    level = nominal_level(FIRST, LAST)
    shares = []
    for spread in SPREADS:
        held, replicates = _held(spread, level)
        without, _ = _held(spread, 0.95)
        shares.append(held)
        print(
            f"sequential_stopping: replicates that vary by {spread:.1%}: stops after {replicates:.1f} of {LAST} on "
            f"average; the interval covers the true value in {held:.1%} of {STUDIES} studies (uncorrected: "
            f"{without:.1%}, limit {LIMIT:.1%})"
        )
    return min(shares) >= LIMIT


def _held(spread: float, level: float) -> tuple[float, float]:
    """Share of studies whose interval covers the true mean, 1, where they stopped; replicates on average."""
    from results.made_up_records import made_up_plan, made_up_record

    from llenergymeasure.records.study.plan import Stopping
    from llenergymeasure.results.statistics.estimates import estimate
    from llenergymeasure.results.tables.interim import interim_analysis

    stopping = Stopping(target_relative_ci=TARGET, metric=METRIC, max_replicates=LAST, budget_s=None)
    plan = made_up_plan({"one": {}}, replicates=FIRST, stopping=stopping)
    record = made_up_record("one", {})
    rng = np.random.default_rng(STUDIES)
    held = total = 0
    for _ in range(STUDIES):
        values = [float(value) for value in rng.normal(1.0, spread, LAST)]
        count = FIRST
        while True:
            if level == 0.95:
                analysed = estimate(values[:count], level)
                assert analysed.half_width is not None and analysed.mean is not None
                done = analysed.half_width <= TARGET * abs(analysed.mean) or count == LAST
            else:
                records = [record.model_copy(update={"metrics": {METRIC: value}}) for value in values[:count]]
                done = interim_analysis(plan, count, records, []).done
            if done:
                break
            count += 1
        analysed = estimate(values[:count], level)
        assert analysed.low is not None and analysed.high is not None
        held += analysed.low <= 1 <= analysed.high
        total += count
    return held / STUDIES, total / STUDIES


if __name__ == "__main__":
    raise SystemExit(not main())

"""What the comparisons of a study assume, and what its figures say about it, in sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from llenergymeasure.config.problems.text import counted as in_words
from llenergymeasure.config.problems.text import first_few
from llenergymeasure.records.metrics import METRICS
from llenergymeasure.results.reading.measured_plan import MeasuredPlan
from llenergymeasure.results.report.formatting import percent, significant
from llenergymeasure.results.statistics.counted import counted, measured_in_blocks
from llenergymeasure.results.statistics.independence import FEWEST, Independence, independence
from llenergymeasure.results.statistics.split_plot import SplitPlot

NAMED = 5


def describe_assumptions(
    plan: MeasuredPlan, runs: pd.DataFrame, metric: str, analyses: Sequence[SplitPlot], labels: Mapping[str, str]
) -> list[str]:
    """Blocks, suspect runs, unequal scatter and independence.

    analyses: of the metric, of energy one per source and boundary; labels: experiment_id → its name on the page
    """
    sentences = [*_describe_suspects(runs), *_describe_blocks(plan, runs)]
    for analysis in analyses:
        # Nothing was repeated.
        if analysis.variances is None:
            continue
        noisy = [name for name in analysis.values if analysis.noisy(name, same_session=False)]
        if noisy:
            named = first_few([labels[name] for name in noisy], NAMED, "; ")
            sentences.append(
                f"{METRICS[metric].label.lower()} scatters more than the pooled variance says in {len(noisy)} of "
                f"{in_words(len(analysis.values), 'configuration')} ({named}), so their intervals rest on their own "
                "replicates, and are wide where these are few"
            )
        verdict = independence(analysis.values, analysis.session_ids)
        sentences += _describe_independence(verdict, METRICS[metric].label.lower(), plan.replicates)
    return sentences


def _describe_suspects(runs: pd.DataFrame) -> list[str]:
    left_out = int((counted(runs, with_suspects=True) & ~counted(runs)).sum())
    if not left_out:
        return []
    return [
        f"the figures here do without {in_words(left_out, 'suspect run')}, because two or more other replicates of the "
        "configuration remain; the columns …_ratio_with_suspects of summary.csv contain all runs"
    ]


def _describe_blocks(plan: MeasuredPlan, runs: pd.DataFrame) -> list[str]:
    if plan.replicates < 2 or len({entry.session_id for entry in plan.experiments.values()}) < 2:
        return []
    if measured_in_blocks(runs):
        return ["replicates were measured one after the other, so what differs between them is taken out as a block"]
    return [
        "replicates were not measured one after the other, so a drift between them is in the intervals of comparisons "
        "between setups"
    ]


def _describe_independence(verdict: Independence | None, label: str, replicates: int) -> list[str]:
    if verdict is None:
        few = replicates < FEWEST
        return [f"{replicates} replicates are too few to see a trend ({FEWEST} are needed)"] if few else []
    facts = (
        f"{label} changes by {percent(verdict.trend)} per replicate (p = {significant(verdict.trend_p, 2)}), and "
        f"successive replicates are correlated by {significant(verdict.lag_one, 2)} "
        f"(p = {significant(verdict.lag_one_p, 2)})"
    )
    if not verdict.doubtful:
        return [f"nothing speaks against independent replicates: {facts}"]
    return [
        f"replicates are not independent: {facts}; for intervals of means they amount to "
        f"{significant(verdict.effective, 2)} of {replicates}"
    ]

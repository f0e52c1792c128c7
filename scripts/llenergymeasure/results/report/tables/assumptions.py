"""What the comparisons of a study assume, and what its figures say about it, in sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from llenergymeasure.config.problems.text import counted as in_words
from llenergymeasure.config.problems.text import first_few
from llenergymeasure.results.reading.measured_plan import MeasuredPlan
from llenergymeasure.results.report.formatting import percent, significant
from llenergymeasure.results.statistics.counted import counted, measured_in_blocks
from llenergymeasure.results.statistics.independence import FEWEST, Independence, independence
from llenergymeasure.results.statistics.split_plot import SplitPlot

NAMED = 5


def describe_assumptions(
    plan: MeasuredPlan, runs: pd.DataFrame, analyses: Sequence[SplitPlot], labels: Mapping[str, str]
) -> list[str]:
    """Blocks, suspect runs, unequal scatter and independence.

    analyses: of energy per output token, one per source and boundary; labels: experiment_id → its name on the page
    """
    sentences = [*_describe_suspects(runs), *_describe_blocks(plan, runs)]
    for analysis in analyses:
        # Nothing was repeated, or the joules are an estimate.
        if analysis.variances is None:
            continue
        noisy = [name for name in analysis.values if analysis.noisy(name, same_session=False)]
        if noisy:
            named = first_few([labels[name] for name in noisy], NAMED, "; ")
            sentences.append(
                f"energy per output token scatters more than the pooled variance says in {len(noisy)} of "
                f"{in_words(len(analysis.values), 'configuration')} ({named}), so their intervals rest on their own "
                "replicates, and are wide where these are few"
            )
        sentences += _describe_independence(independence(analysis.values, analysis.session_ids), plan.replicates)
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


def _describe_independence(verdict: Independence | None, replicates: int) -> list[str]:
    if verdict is None:
        few = replicates < FEWEST
        return [f"{replicates} replicates are too few to see a trend ({FEWEST} are needed)"] if few else []
    facts = (
        f"a change of {percent(verdict.trend)} per replicate (p = {significant(verdict.trend_p, 2)}) and a correlation "
        f"of successive replicates of {significant(verdict.lag_one, 2)} (p = {significant(verdict.lag_one_p, 2)})"
    )
    if not verdict.doubtful:
        return [f"nothing speaks against independent replicates: {facts}"]
    return [
        f"replicates are not independent: {facts}; for intervals of means they amount to "
        f"{significant(verdict.effective, 2)} of {replicates}"
    ]

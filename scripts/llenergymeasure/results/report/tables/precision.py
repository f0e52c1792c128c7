"""How sure the figures are: parts of the uncertainty, ratios to the reference, and what the study can detect."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from llenergymeasure.records.metrics import METRICS
from llenergymeasure.results.report.experiments import ENERGY, Experiment
from llenergymeasure.results.report.formatting import percent, significant
from llenergymeasure.results.report.tables.cells import Cell, FigureRow, Head, unknown_cell
from llenergymeasure.results.statistics.comparisons.power import POWER, WANTED, detectable
from llenergymeasure.results.statistics.comparisons.simultaneous import comparisons_among, comparisons_to
from llenergymeasure.results.statistics.estimates import Ratio
from llenergymeasure.results.statistics.ratios import RATIO_METRICS
from llenergymeasure.results.statistics.split_plot import SplitPlot

# Kinds of components in the order of the columns: head, and what it is.
KINDS = {
    "edge": (
        "Edges",
        "Where the window begins and ends: the lag of the counter, the length of its ticks, and their timing.",
    ),
    "rate": ("Sampling", "What a meter misses between two readings, or a sensor that samples only part of the time."),
    "baseline": ("Baseline", "Noise and drift of the idle power that is subtracted; zero where energy is gross."),
    "temperature": (
        "Temperature",
        "How far the devices may be from the temperature of the study, times what that changes in their power.",
    ),
    "gain": ("Gain", "Scale of the sensor. It is the same in all runs, so more replicates do not reduce it."),
}
MEAN = Head("Mean", "%", "Standard deviation between replicates over √n.")
EXPANDED = Head("Expanded, 95 %", "%", "Half of the 95 % interval of the mean, with the instrument's uncertainty.")


@dataclass(frozen=True)
class BudgetTable:
    """Relative standard uncertainties of energy per output token; cells in the order of `heads`."""

    heads: list[Head]
    rows: list[FigureRow]


@dataclass(frozen=True)
class RatioTable:
    reference: Experiment
    heads: list[Head]
    rows: list[FigureRow]


def budget_table(ranked: Sequence[Experiment], numbers: Mapping[str, str]) -> BudgetTable | None:
    """None where no meter states an uncertainty. The error of estimated joules is not known, so they have no budget."""
    rows = [
        FigureRow(numbers[experiment.experiment_id], experiment, _budget_cells(experiment))
        for experiment in ranked
        if experiment.budgets and not experiment.estimated
    ]
    heads = [*(Head(label, "%", title) for label, title in KINDS.values()), MEAN, EXPANDED]
    return BudgetTable(heads, rows) if rows else None


def ratio_table(
    summary: pd.DataFrame, reference: str | None, ranked: Sequence[Experiment], numbers: Mapping[str, str]
) -> RatioTable | None:
    """None where there is nothing to compare, or no reference that was measured."""
    by_id = {experiment.experiment_id: experiment for experiment in ranked}
    others = [experiment for experiment in ranked if experiment.experiment_id != reference]
    if reference not in by_id or not others:
        return None
    columns = {str(row["experiment_id"]): row for row in summary.to_dict("records")}
    return RatioTable(
        reference=by_id[reference],
        heads=[Head(METRICS[metric].label, "ratio", METRICS[metric].definition) for metric in RATIO_METRICS],
        rows=[
            FigureRow(
                numbers[experiment.experiment_id],
                experiment,
                [
                    _ratio_cell(columns[experiment.experiment_id], metric, experiment.estimated)
                    for metric in RATIO_METRICS
                ],
            )
            for experiment in others
        ],
    )


def describe_detectable(reference: str | None, metric: str, analyses: Sequence[SplitPlot]) -> list[str]:
    """One sentence per kind of comparison: which differences a study like this one detects.

    analyses: of the metric; of energy one per source and boundary
    """
    sentences = []
    for analysis in analyses:
        names = list(analysis.values)
        if reference in names:
            others = [name for name in names if name != reference]
            comparisons, pair = comparisons_to(analysis, reference, others), "the reference and a configuration"
        else:
            comparisons, pair = comparisons_among(analysis, names), "one configuration and another"
        for difference in detectable(analysis, comparisons):
            setup = "the same setup" if difference.same_session else "another setup"
            wanted = difference.replicates_wanted
            sentences.append(
                f"between {pair} of {setup}, {percent(POWER)} of studies like this one detect a difference of "
                f"{percent(difference.change)} in {METRICS[metric].label.lower()}; to detect {percent(WANTED)} would "
                f"take {'more than 1000' if wanted is None else wanted} replicates"
            )
    return sentences


def _budget_cells(experiment: Experiment) -> list[Cell]:
    kinds = [_root_mean_square([budget.get(kind, 0.0) for budget in experiment.budgets]) for kind in KINDS]
    parts = (*kinds, _relative_deviation_of_mean(experiment), _relative_expanded(experiment))
    return [_percent_cell(value) for value in parts]


def _root_mean_square(values: Sequence[float]) -> float:
    return math.sqrt(math.fsum(value**2 for value in values) / len(values))


def _relative_deviation_of_mean(experiment: Experiment) -> float | None:
    values = list(experiment.values[ENERGY].values())
    if len(values) < 2 or not experiment.mean(ENERGY):
        return None
    mean = math.fsum(values) / len(values)
    return math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1) / len(values)) / abs(mean)


def _relative_expanded(experiment: Experiment) -> float | None:
    mean = experiment.mean(ENERGY)
    return experiment.expanded95[ENERGY] / abs(mean) if mean and ENERGY in experiment.expanded95 else None


def _percent_cell(value: float | None) -> Cell:
    if value is None:
        return unknown_cell("one replicate, or the meter states no uncertainty")
    return Cell(significant(100 * value, 2), None, "", value)


def _ratio_cell(row: Mapping[Any, Any], metric: str, estimated: bool) -> Cell:
    value, low, high = (row[f"{metric}_ratio{part}"] for part in ("", "_ci95_low", "_ci95_high"))
    if pd.isna(value):
        return unknown_cell("one of the two has no figure, or they differ in source or boundary")
    guess = METRICS[metric].energy and estimated
    if pd.isna(low) or pd.isna(high):
        why = "estimated joules follow from time, no interval" if guess else "too few replicates for an interval"
        return Cell(f"{value:.3g}", None, why, float(value), estimated=guess)
    ratio = Ratio(float(value), float(low), float(high))
    text = f"{ratio.value:.3g} ({ratio.low:.3g} to {ratio.high:.3g})"
    title = "distinguishable" if ratio.distinguishable else "not distinguishable from the reference"
    return Cell(text, None, title, ratio.value, estimated=guess)

"""The report's section on uncertainty: each part of it, ratios to the reference, and what could have been seen."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from llenergymeasure.records.measurement import BudgetRow
from llenergymeasure.records.metrics import METRICS
from llenergymeasure.results.reading.compact import CompactRecord
from llenergymeasure.results.reading.measured_plan import MeasuredPlan
from llenergymeasure.results.report.experiments import ENERGY, Experiment
from llenergymeasure.results.report.formatting import percent, significant
from llenergymeasure.results.report.tables import Cell, Head
from llenergymeasure.results.statistics.analysis import analysis_of, reference_of
from llenergymeasure.results.statistics.estimates import Ratio
from llenergymeasure.results.statistics.power import POWER, WANTED, detectable
from llenergymeasure.results.statistics.ratios import RATIO_METRICS
from llenergymeasure.results.statistics.simultaneous import comparisons_among, comparisons_to

# Parts of the budget in the order of the columns, with what a reader calls them.
KINDS = {
    "edge": ("Edges", "Where the window begins and ends: one tick of the counter, and its timing."),
    "rate": ("Sampling", "What a meter between two readings, or a sensor that looks a part of the time, does not see."),
    "baseline": ("Baseline", "Noise and drift of the idle power that is taken off; nothing where energy is gross."),
    "gain": ("Gain", "Scale of the sensor, the same in all runs: no replicate makes it smaller."),
}
MEAN = Head("Mean", "%", "Standard deviation between replicates over √n.", "")
EXPANDED = Head("Expanded, 95 %", "%", "Half width of the 95 % interval of the mean with the instrument in it.", "")


@dataclass(frozen=True)
class BudgetTable:
    """Relative standard uncertainties of energy per output token; cells in the order of `heads`."""

    heads: list[Head]
    rows: list[tuple[str, Experiment, list[Cell]]]


@dataclass(frozen=True)
class RatioTable:
    reference: Experiment
    heads: list[Head]
    rows: list[tuple[str, Experiment, list[Cell]]]


def budget_table(
    ranked: Sequence[Experiment], numbers: Mapping[str, str], records: Mapping[str, Sequence[CompactRecord]]
) -> BudgetTable | None:
    """None where no meter states an uncertainty."""
    rows = []
    for item in ranked:
        budgets = [
            (record.budget, abs(record.energy_j))
            for record in records[item.experiment_id]
            if record.status == "ok" and record.budget and record.energy_j
        ]
        if budgets:
            parts = [_share(budgets, kind) for kind in KINDS]
            cells = [_percent(value, item.estimated) for value in (*parts, _scatter(item), _expanded(item))]
            rows.append((numbers[item.experiment_id], item, cells))
    heads = [*(Head(label, "%", title, "") for label, title in KINDS.values()), MEAN, EXPANDED]
    return BudgetTable(heads, rows) if rows else None


def ratio_table(
    summary: pd.DataFrame, reference: str | None, ranked: Sequence[Experiment], numbers: Mapping[str, str]
) -> RatioTable | None:
    """None where there is nothing to compare, or no reference that was measured."""
    by_id = {item.experiment_id: item for item in ranked}
    others = [item for item in ranked if item.experiment_id != reference]
    if reference not in by_id or not others:
        return None
    columns = {str(row["experiment_id"]): row for row in summary.to_dict("records")}
    return RatioTable(
        reference=by_id[reference],
        heads=[Head(METRICS[metric].label, "ratio", METRICS[metric].definition, "") for metric in RATIO_METRICS],
        rows=[
            (
                numbers[item.experiment_id],
                item,
                [_ratio_cell(columns[item.experiment_id], metric, item.estimated) for metric in RATIO_METRICS],
            )
            for item in others
        ],
    )


def detectable_words(plan: MeasuredPlan, runs: pd.DataFrame, sources: Sequence[str | None]) -> list[str]:
    """One sentence a source of energy and kind of comparison: what a study like this one finds, and what more takes."""
    sentences = []
    reference = reference_of(plan)
    for source in sources:
        analysis = analysis_of(runs, ENERGY, source, plan.nominal_level)
        names = list(analysis.values)
        if reference in names:
            others = [name for name in names if name != reference]
            comparisons, between = comparisons_to(analysis, reference, others), "the reference and a configuration"
        else:
            comparisons, between = comparisons_among(analysis, names), "one configuration and another"
        for found in detectable(analysis, comparisons):
            setup = "the same setup" if found.same_session else "another setup"
            more = "more than 1000" if found.replicates_wanted is None else f"{found.replicates_wanted}"
            sentences.append(
                f"between {between} of {setup}, a difference of {percent(found.change)} in energy per output "
                f"token is found by {percent(POWER)} of studies like this one; a difference of {percent(WANTED)} would "
                f"take {more} replicates"
            )
    return sentences


def _share(budgets: Sequence[tuple[Sequence[BudgetRow], float]], kind: str) -> float:
    """Root mean square over replicates of what this kind adds, over the figure."""
    squares = [
        math.fsum((row.standard_uncertainty / figure) ** 2 for row in rows if row.kind == kind)
        for rows, figure in budgets
    ]
    return math.sqrt(math.fsum(squares) / len(squares))


def _scatter(item: Experiment) -> float | None:
    values = list(item.values[ENERGY].values())
    if len(values) < 2 or not item.mean(ENERGY):
        return None
    mean = math.fsum(values) / len(values)
    return math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1) / len(values)) / abs(mean)


def _expanded(item: Experiment) -> float | None:
    mean = item.mean(ENERGY)
    return item.expanded95[ENERGY] / abs(mean) if mean and ENERGY in item.expanded95 else None


def _percent(value: float | None, estimated: bool) -> Cell:
    if value is None:
        return Cell("unknown", None, "one replicate, or no uncertainty is stated", None)
    return Cell(significant(100 * value, 2), None, "", value, estimated=estimated)


def _ratio_cell(row: Mapping[Any, Any], metric: str, estimated: bool) -> Cell:
    value, low, high = (row[f"{metric}_ratio{part}"] for part in ("", "_ci95_low", "_ci95_high"))
    if pd.isna(value):
        return Cell("unknown", None, "one of the two has no figure, or they come from different sources", None)
    guess = METRICS[metric].energy and estimated
    if pd.isna(low) or pd.isna(high):
        return Cell(f"{value:.3g}", None, "one replicate, no interval", float(value), estimated=guess)
    found = Ratio(float(value), float(low), float(high))
    text = f"{found.value:.3g} ({found.low:.3g} to {found.high:.3g})"
    title = "distinguishable" if found.distinguishable else "not distinguishable from the reference"
    return Cell(text, None, title, found.value, estimated=guess)

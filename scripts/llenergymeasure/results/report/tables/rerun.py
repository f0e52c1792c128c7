"""A rerun against what it repeats, in words and as the report's table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from llenergymeasure.records.metrics import ENERGY_METRICS, METRICS
from llenergymeasure.records.study.equivalence import ANSWERS
from llenergymeasure.results.report.experiments import ENERGY, SPEED, Experiment, is_estimated
from llenergymeasure.results.report.formatting import choose_scale, percent, significant
from llenergymeasure.results.report.tables.cells import Cell, Head, unknown_cell

COLUMNS = (ENERGY, SPEED, "ttft_s", "peak_memory_bytes")
# A word of comparison.csv's column `differs` → what a reader calls it.
DIFFERENCES = {
    "environment": "other packages",
    "pipeline": "another commit of the pipeline",
    "machines": "another machine",
    "devices": "other devices",
    "models": "other model files",
    "prompts": "other prompts",
}


@dataclass(frozen=True)
class RerunRow:
    """One configuration. output: identical, differs or unknown"""

    experiment: Experiment
    cells: list[Cell]
    output: str


@dataclass(frozen=True)
class RerunTable:
    """differences: what was not the same in the two measurements; cells in the order of `heads`.

    same_order: everything was measured in the order of the first time; margin, day_sd: as shares
    """

    rerun_of: str
    same_order: bool
    margin: float
    day_sd: float
    differences: list[str]
    heads: list[Head]
    rows: list[RerunRow]


def rerun_table(comparison: pd.DataFrame | None, experiments: Sequence[Experiment]) -> RerunTable | None:
    """None where the study is not a rerun. comparison: comparison.csv"""
    if comparison is None:
        return None
    rows = {(str(row["experiment_id"]), row["metric"]): row for row in comparison.to_dict("records")}
    return RerunTable(
        rerun_of=str(comparison["rerun_of"].iloc[0]),
        same_order=comparison["order"].iloc[0] == "same",
        margin=float(comparison["margin"].iloc[0]),
        day_sd=float(comparison["day_sd"].iloc[0]),
        differences=_differences(comparison),
        heads=[Head(METRICS[name].label, "new/old", METRICS[name].definition) for name in COLUMNS],
        rows=[
            RerunRow(
                experiment,
                [_cell(rows[experiment.experiment_id, metric], metric) for metric in COLUMNS],
                _output(rows[experiment.experiment_id, ENERGY]["output_identical"]),
            )
            for experiment in experiments
        ],
    )


def describe_rerun(comparison: pd.DataFrame) -> str:
    """The line for the end of a run."""
    outputs = comparison[comparison["metric"] == ENERGY]["output_identical"]
    identical, known = sum(map(_is_true, outputs)), int(outputs.notna().sum())
    sentences = [f"{identical} of {known} generated the same tokens"]
    sentences += [_describe_metric(comparison, metric) for metric in (ENERGY, SPEED)]
    margin, day_sd = (percent(float(comparison[name].iloc[0])) for name in ("margin", "day_sd"))
    sentences.append(f"same means within {margin}, where days differ by a standard deviation of {day_sd}")
    return "; ".join([*sentences, *_differences(comparison)])


def _describe_metric(comparison: pd.DataFrame, metric: str) -> str:
    rows = comparison[comparison["metric"] == metric]
    label = METRICS[metric].label.lower()
    ratios = rows["ratio"].dropna().astype(float)
    if ratios.empty:
        return f"{label} cannot be compared: {'; '.join(dict.fromkeys(rows['reason'].dropna()))}"
    span = f"{ratios.min():.3g} times" if len(ratios) == 1 else f"{ratios.min():.3g} to {ratios.max():.3g} times"
    counts = {answer: int((rows["verdict"] == answer).sum()) for answer in ANSWERS}
    verdicts = ", ".join(f"{number} {answer}" for answer, number in counts.items() if number)
    return f"{label} {span} the old figures: {verdicts}"


def _differences(comparison: pd.DataFrame) -> list[str]:
    differing = {name for cell in comparison["differs"].dropna() for name in cell.split()}
    return [words for name, words in DIFFERENCES.items() if name in differing]


def _cell(row: Mapping[Any, Any], metric: str) -> Cell:
    if pd.isna(row["ratio"]):
        return unknown_cell(str(row["reason"]))
    scale = choose_scale(metric, [row["old_mean"]])
    guess = metric in ENERGY_METRICS and is_estimated(row["new_energy_source"])
    title = f"{scale.value(row['old_mean'])} {scale.unit}, then {scale.value(row['new_mean'])} {scale.unit}"
    value, verdict = float(row["ratio"]), str(row["verdict"])
    if pd.isna(row["ratio_ci95_low"]):
        why = "estimated joules follow from time" if guess else "one replicate"
        words = f"{title}; {why}, no interval"
        return Cell(f"{significant(value)}, {verdict}", None, words, value, estimated=guess)
    text = f"{value:.3g} ({row['ratio_ci95_low']:.3g} to {row['ratio_ci95_high']:.3g}), {verdict}"
    words = (
        f"{title}; 90 % interval alone {row['ratio_ci90_low']:.4g} to {row['ratio_ci90_high']:.4g}; "
        f"{int(row['old_compared'])} replicates against {int(row['new_compared'])}"
    )
    return Cell(text, None, words, value, estimated=guess)


def _output(identical: Any) -> str:
    if identical is None or pd.isna(identical):
        return "unknown"
    return "identical" if _is_true(identical) else "differs"


def _is_true(value: Any) -> bool:
    """A boolean column with empty cells comes from a CSV as text."""
    return str(value) == "True"

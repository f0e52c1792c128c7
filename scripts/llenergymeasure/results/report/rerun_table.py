"""A rerun against what it repeats, in words and as the report's table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from llenergymeasure.records.metrics import ENERGY_METRICS, METRICS
from llenergymeasure.results.report.experiments import ENERGY, SPEED, Experiment, is_estimated
from llenergymeasure.results.report.formatting import scale_of, significant
from llenergymeasure.results.report.tables import Cell, Head
from llenergymeasure.results.statistics.estimates import Ratio

SHOWN = (ENERGY, SPEED, "ttft_s", "peak_memory_bytes")
# What a reader calls them, of both measurements together.
_DIFFERENCES = {
    "environment": "other packages",
    "pipeline": "another commit of the pipeline",
    "devices": "other devices",
    "models": "other model files",
    "prompts": "other prompts",
}


@dataclass(frozen=True)
class RerunTable:
    """differences: in what the two were measured differently; cells in the order of `heads`, then the outputs."""

    rerun_of: str
    differences: list[str]
    summary: str
    heads: list[Head]
    rows: list[tuple[Experiment, list[Cell], str]]


def rerun_table(comparison: pd.DataFrame | None, experiments: Sequence[Experiment]) -> RerunTable | None:
    """None where the study is no rerun."""
    if comparison is None:
        return None
    rows = {(str(row["experiment_id"]), row["metric"]): row for row in comparison.to_dict("records")}
    return RerunTable(
        rerun_of=str(comparison["rerun_of"].iloc[0]),
        differences=_differences(comparison),
        summary=in_words(comparison),
        heads=[Head(METRICS[name].label, "new/old", METRICS[name].definition, "") for name in SHOWN],
        rows=[
            (
                item,
                [_cell(rows[item.experiment_id, metric], metric) for metric in SHOWN],
                _output(rows[item.experiment_id, ENERGY]["output_identical"]),
            )
            for item in experiments
        ],
    )


def in_words(comparison: pd.DataFrame) -> str:
    """The line for the end of a run."""
    outputs = comparison[comparison["metric"] == ENERGY]["output_identical"]
    same, known = sum(value is True or value == "True" for value in outputs), int(outputs.notna().sum())
    parts = [f"{same} of {known} put out the same tokens"]
    parts += [_of_metric(comparison, metric) for metric in (ENERGY, SPEED)]
    return "; ".join([*parts, *_differences(comparison)])


def _of_metric(comparison: pd.DataFrame, metric: str) -> str:
    rows = comparison[comparison["metric"] == metric]
    label = METRICS[metric].label.lower()
    ratios = rows["ratio"].dropna().astype(float)
    if ratios.empty:
        return f"{label} can't be compared: {'; '.join(dict.fromkeys(rows['reason'].dropna()))}"
    span = f"{ratios.min():.3g} times" if len(ratios) == 1 else f"{ratios.min():.3g} to {ratios.max():.3g} times"
    judged = rows["distinguishable"].dropna()
    if judged.empty:
        return f"{label} {span} the old figures, no interval"
    apart = sum(value is True or value == "True" for value in judged)
    return f"{label} {span} the old figures, {apart} of {len(judged)} distinguishable"


def _differences(comparison: pd.DataFrame) -> list[str]:
    found = {name for cell in comparison["differs"].dropna() for name in cell.split()}
    return [words for name, words in _DIFFERENCES.items() if name in found]


def _cell(row: Mapping[Any, Any], metric: str) -> Cell:
    if pd.isna(row["ratio"]):
        return Cell("unknown", None, str(row["reason"]), None)
    scale = scale_of(metric, [row["old_mean"]])
    guess = metric in ENERGY_METRICS and is_estimated(row["new_energy_source"])
    title = f"{scale.value(row['old_mean'])} {scale.unit}, then {scale.value(row['new_mean'])} {scale.unit}"
    value = float(row["ratio"])
    if pd.isna(row["ratio_ci95_low"]):
        return Cell(significant(value), None, f"{title}; one replicate, no interval", value, estimated=guess)
    found = Ratio(value, float(row["ratio_ci95_low"]), float(row["ratio_ci95_high"]))
    text = f"{found.value:.3g} ({found.low:.3g} to {found.high:.3g})"
    verdict = "distinguishable" if found.distinguishable else "not distinguishable"
    return Cell(text, None, f"{title}; {verdict}", value, estimated=guess)


def _output(identical: Any) -> str:
    if identical is None or pd.isna(identical):
        return "unknown"
    return "identical" if str(identical) == "True" else "differs"

"""What every table is made of: heads, and cells with a figure."""

from __future__ import annotations

from dataclasses import dataclass

from llenergymeasure.results.report.experiments import Experiment
from llenergymeasure.results.report.formatting import Scale, describe_estimate
from llenergymeasure.results.statistics.estimates import Estimate


@dataclass(frozen=True)
class Cell:
    """A figure in a table. `sort` orders the column; None, an unknown value, always comes last."""

    text: str
    spread: str | None
    title: str
    sort: float | None
    n: int | None = None
    estimated: bool = False


@dataclass(frozen=True)
class Head:
    label: str
    unit: str
    title: str


@dataclass(frozen=True)
class FigureRow:
    """One configuration. number: its rank in its group; cells: in the order of the table's heads"""

    number: str
    experiment: Experiment
    cells: list[Cell]


def unknown_cell(reason: str) -> Cell:
    return Cell("unknown", None, reason, None)


def estimate_cell(estimate: Estimate, scale: Scale, why_unknown: str, estimated: bool) -> Cell:
    """Mean ± half width of the interval; the reason where there is no mean."""
    if estimate.mean is None:
        return unknown_cell(why_unknown)
    text, spread = scale.estimate(estimate)
    return Cell(text, spread, describe_estimate(estimate, scale), estimate.mean, estimated=estimated)

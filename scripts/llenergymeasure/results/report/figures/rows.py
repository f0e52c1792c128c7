"""Figures of rows: one configuration per row, with its marks along a shared axis."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from llenergymeasure.records.labels import Part
from llenergymeasure.results.report.figures.axis import Axis
from llenergymeasure.results.report.formatting import Scale
from llenergymeasure.results.statistics.estimates import Estimate

# Nobody reads more rows than this in a figure; the tables have all of them.
ROWS = 40


@dataclass(frozen=True)
class Row:
    """One configuration. marks: name of the mark → its position in percent of the axis"""

    parts: list[Part]
    number: str
    text: str
    title: str
    marks: Mapping[str, float] = field(default_factory=dict)
    estimated: bool = False


@dataclass(frozen=True)
class Rows:
    """A figure of rows. `left_out` rows are not drawn."""

    axis: Axis
    rows: list[Row]
    left_out: int = 0


def whisker(estimate: Estimate, axis: Axis, scale: Scale) -> dict[str, float]:
    """Marks `low` and `high` at the ends of the interval; none where there is no interval."""
    if estimate.low is None or estimate.high is None:
        return {}
    return {
        "low": axis.percent(estimate.low / scale.divisor),
        "high": axis.percent(estimate.high / scale.divisor),
    }

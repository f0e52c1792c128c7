"""Every metric, declared once: name, unit, definition with its denominator, formula, what is better.

Columns, table heads, docs/metrics.md and the definitions in the report are derived from these declarations.
"""

from llenergymeasure.records.metrics.catalogue import (
    AFTERWARDS,
    ENERGY_METRICS,
    METRICS,
    QUANTITIES,
    REQUEST_LATENCIES,
    SERVICE_METRICS,
    SHOWN_LATENCIES,
)
from llenergymeasure.records.metrics.columns import (
    CONTRACT_METRICS,
    FURTHER_METRICS,
    HEAD_COLUMNS,
    LOAD_COLUMNS,
    PARTS,
    SUMMARY_METRICS,
    TAIL_COLUMNS,
)
from llenergymeasure.records.metrics.metric import Metric

__all__ = [
    "AFTERWARDS",
    "CONTRACT_METRICS",
    "ENERGY_METRICS",
    "FURTHER_METRICS",
    "HEAD_COLUMNS",
    "LOAD_COLUMNS",
    "METRICS",
    "PARTS",
    "QUANTITIES",
    "REQUEST_LATENCIES",
    "SERVICE_METRICS",
    "SHOWN_LATENCIES",
    "SUMMARY_METRICS",
    "TAIL_COLUMNS",
    "Metric",
]

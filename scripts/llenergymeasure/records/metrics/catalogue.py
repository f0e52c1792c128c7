"""All metrics by name, and the groups that other code asks for."""

from __future__ import annotations

from llenergymeasure.records.metrics import energy, speed, window
from llenergymeasure.records.metrics.metric import Metric
from llenergymeasure.records.metrics.quantities import QUANTITIES as QUANTITIES

_ALL = (
    speed.THROUGHPUT,
    *energy.GROSS,
    *energy.PHASES,
    speed.TTFT,
    speed.TPOT,
    speed.E2E,
    *speed.SERVICE,
    *speed.FURTHER_RATES,
    window.PEAK_MEMORY,
    window.PROCESS_MEMORY,
    *energy.POWER,
    *energy.NET,
    *energy.BY_DOMAIN,
    *energy.WITH_TIME,
    speed.SLO_SHARE,
    *window.CONTENTS,
)
METRICS: dict[str, Metric] = {metric.name: metric for metric in _ALL}
# The latencies whose distribution is in latencies.csv: one value per request, or per gap between two tokens.
REQUEST_LATENCIES: dict[str, Metric] = {
    metric.name: metric for metric in (speed.TTFT, speed.ITL, speed.E2E, *speed.SERVICE)
}
# Those that a page shows the distributions of.
SHOWN_LATENCIES = tuple(name for name, metric in REQUEST_LATENCIES.items() if not metric.service)
# These have an uncertainty budget, so that the uncertainty of their means includes the instrument's.
ENERGY_METRICS = tuple(metric.name for metric in _ALL if metric.energy)
# Not compared between different `batching`.
SERVICE_METRICS = tuple(metric.name for metric in _ALL if metric.service)
# Not in measurements.jsonl.
AFTERWARDS = tuple(metric.name for metric in _ALL if metric.afterwards)

"""The figure of memory: the peak in the window, the weights, and the peak while loading."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from llenergymeasure.results.report.experiments import Experiment
from llenergymeasure.results.report.figures.axis import Axis, linear_axis
from llenergymeasure.results.report.figures.rows import ROWS, Row, Rows, whisker
from llenergymeasure.results.report.formatting import Scale, describe_estimate, unit_scale
from llenergymeasure.results.tables.load_cost import LoadCost

PEAK = "peak_memory_bytes"


def memory_figure(
    experiments: Sequence[Experiment], numbers: Mapping[str, str], costs: Mapping[str, LoadCost]
) -> Rows | None:
    """One row per experiment, in bytes. costs: setup_id → what the setup took. None where no peak is known."""
    known = [experiment for experiment in experiments if experiment.mean(PEAK) is not None]
    if not known:
        return None
    peaks = [experiment.mean(PEAK) or 0.0 for experiment in known]
    setups = [costs[setup_id] for setup_id in {experiment.setup_id for experiment in known} if setup_id in costs]
    of_setups = [value or 0.0 for cost in setups for value in (cost.resident_bytes, cost.load_peak_bytes)]
    scale = unit_scale("bytes", peaks)
    axis = linear_axis(0.0, max([*peaks, *of_setups]) / scale.divisor, f"Memory, {scale.unit}")
    rows = [
        _row(experiment, numbers[experiment.experiment_id], axis, scale, costs.get(experiment.setup_id))
        for experiment in known[:ROWS]
    ]
    return Rows(axis, rows, len(known) - len(rows))


def _row(experiment: Experiment, number: str, axis: Axis, scale: Scale, cost: LoadCost | None) -> Row:
    peak = experiment.estimates[PEAK]
    assert peak.mean is not None
    marks = {"peak": axis.percent(peak.mean / scale.divisor), **whisker(peak, axis, scale)}
    lines = [experiment.label, f"peak in the window {describe_estimate(peak, scale)}"]
    resident, load_peak = (None, None) if cost is None else (cost.resident_bytes, cost.load_peak_bytes)
    for mark, words, value in (("weights", "weights", resident), ("load", "peak while loading", load_peak)):
        if value is not None:
            marks[mark] = axis.percent(value / scale.divisor)
            lines.append(f"{words} {scale.value(value)} {scale.unit}")
    if (process := experiment.mean("process_memory_bytes")) is not None:
        lines.append(f"memory of the processes, as the driver counts it {scale.value(process)} {scale.unit}")
    return Row(experiment.parts, number, scale.value(peak.mean), "\n".join(lines), marks)

"""The figure of phases: energy of a request, prefill and decode stacked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from llenergymeasure.results.report.experiments import Experiment
from llenergymeasure.results.report.figures.axis import Axis, linear_axis
from llenergymeasure.results.report.figures.rows import ROWS, Row, Rows, whisker
from llenergymeasure.results.report.formatting import Scale, describe_estimate, unit_scale

REQUEST, PREFILL, DECODE = "energy_per_request_j", "prefill_energy_j", "decode_energy_j"


def phase_figure(experiments: Sequence[Experiment], numbers: Mapping[str, str]) -> Rows | None:
    """One row per experiment; all of them have one source of energy. None where no experiment has a figure."""
    known = [experiment for experiment in experiments if experiment.mean(REQUEST) is not None]
    if not known:
        return None
    scale = unit_scale("J", [experiment.mean(REQUEST) for experiment in known])
    top = max(experiment.mean(REQUEST) or 0.0 for experiment in known)
    highs = [experiment.estimates[REQUEST].high or 0.0 for experiment in known]
    kind = "ESTIMATED energy" if known[0].estimated else "Energy"
    axis = linear_axis(0.0, min(max([top, *highs]), 1.6 * top) / scale.divisor, f"{kind} per request, {scale.unit}")
    rows = [_row(experiment, numbers[experiment.experiment_id], axis, scale) for experiment in known[:ROWS]]
    return Rows(axis, rows, len(known) - len(rows))


def _row(experiment: Experiment, number: str, axis: Axis, scale: Scale) -> Row:
    request, prefill, decode = (experiment.estimates[name] for name in (REQUEST, PREFILL, DECODE))
    assert request.mean is not None
    marks = {"whole": axis.percent(request.mean / scale.divisor)}
    if prefill.mean is None or decode.mean is None:
        text = f"{scale.value(request.mean)} (phases unknown)"
        detail = experiment.unknown.get(PREFILL, "no reason is recorded")
    elif prefill.mean < 0 or decode.mean < 0:
        # A difference of two windows; where noise exceeds the phase itself, a bar would be a lie.
        text = f"{scale.value(prefill.mean)} + {scale.value(decode.mean)} (below noise)"
        detail = "noise is larger than the smaller phase; use longer outputs or windows to separate the phases"
    else:
        marks["prefill"] = axis.percent(prefill.mean / scale.divisor)
        text = f"{scale.value(prefill.mean)} + {scale.value(decode.mean)}"
        detail = f"prefill {describe_estimate(prefill, scale)}\ndecode {describe_estimate(decode, scale)}"
    marks |= whisker(request, axis, scale)
    title = f"{experiment.label}\nwhole request {describe_estimate(request, scale)}\n{detail}"
    return Row(experiment.parts, number, text, title, marks, experiment.estimated)

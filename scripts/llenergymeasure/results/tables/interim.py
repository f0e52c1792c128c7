"""The interim analysis after a replicate: is the figure precise enough, or is another replicate measured?"""

from __future__ import annotations

from collections.abc import Sequence

from llenergymeasure.energy.ledger import is_estimated
from llenergymeasure.records.calibration import SessionCalibration
from llenergymeasure.records.measurement import MeasurementRecord
from llenergymeasure.records.metrics import ENERGY_METRICS
from llenergymeasure.records.schema import SCHEMA_VERSION
from llenergymeasure.records.study.interim import Ended, InterimAnalysis, InterimEstimate
from llenergymeasure.records.study.plan import Plan
from llenergymeasure.results.statistics.counted import counted_rows
from llenergymeasure.results.statistics.estimates import estimate
from llenergymeasure.results.statistics.sequential import nominal_level

_WHY: dict[Ended | None, str] = {
    "precise": "precise enough",
    "max_replicates": "no more replicates are allowed (measurement.max_replicates)",
    "budget": "another replicate would exceed measurement.budget_s",
    "nothing": "no experiment has this figure",
    "estimate": "estimated joules have no interval (set measurement.target_metric: throughput_output_tokens_per_s)",
    None: "another replicate is measured",
}


def interim_analysis(
    plan: Plan,
    replicates: int,
    records: Sequence[MeasurementRecord],
    calibrations: Sequence[SessionCalibration],
) -> InterimAnalysis:
    """The content of interim/<replicates>.json.

    records: those of all replicates so far; calibrations: those of every session, for the duration of a replicate
    """
    stopping = plan.stopping
    assert stopping is not None, "only a study that names a precision has interim analyses"
    level = nominal_level(plan.replicates, stopping.max_replicates)
    chosen = _records_that_count(records)
    estimates = [_estimate(name, chosen.get(name, []), stopping.metric, level) for name in plan.experiments]
    known = [item for item in estimates if item.n > 0]
    replicate_s = sum(calibration.replicate_s for calibration in calibrations)
    widths = [item.relative_half_width for item in known]
    reason: Ended | None
    if not known:
        reason = "nothing"
    elif _is_estimate(records, stopping.metric):
        reason = "estimate"
    elif all(width is not None and width <= stopping.target_relative_ci for width in widths):
        reason = "precise"
    elif replicates >= stopping.max_replicates:
        reason = "max_replicates"
    elif stopping.budget_s is not None and (replicates + 1) * replicate_s > stopping.budget_s:
        reason = "budget"
    else:
        reason = None
    whole = [width for width in widths if width is not None]
    return InterimAnalysis(
        schema_version=SCHEMA_VERSION,
        replicates=replicates,
        metric=stopping.metric,
        target_relative_ci=stopping.target_relative_ci,
        nominal_level=level,
        widest=max(whole) if whole and len(whole) == len(widths) else None,
        experiments=tuple(estimates),
        replicate_s=replicate_s,
        done=reason is not None,
        reason=reason,
    )


def in_words(analysis: InterimAnalysis) -> str:
    """How precisely the figure is known, and why the study continues or ends."""
    width = "unknown" if analysis.widest is None else f"± {100 * analysis.widest:.3g} %"
    return (
        f"the widest 95 % interval of {analysis.metric} is {width}, the target is "
        f"± {100 * analysis.target_relative_ci:.3g} %: {_WHY[analysis.reason]}"
    )


def _is_estimate(records: Sequence[MeasurementRecord], metric: str) -> bool:
    """Whether some of these figures are estimated joules, which follow from time: their scatter has no interval."""
    return metric in ENERGY_METRICS and any(is_estimated(record.energy_source) for record in records)


def _records_that_count(records: Sequence[MeasurementRecord]) -> dict[str, list[MeasurementRecord]]:
    """By experiment."""
    counts = counted_rows(
        [
            (record.experiment_id, record.status, None if record.validity is None else record.validity.verdict)
            for record in records
        ]
    )
    chosen: dict[str, list[MeasurementRecord]] = {}
    for record, it in zip(records, counts, strict=True):
        if it:
            chosen.setdefault(record.experiment_id, []).append(record)
    return chosen


def _estimate(experiment_id: str, records: Sequence[MeasurementRecord], metric: str, level: float) -> InterimEstimate:
    """records: of this experiment, those that count"""
    figure = estimate([record.metrics.get(metric) for record in records], level)
    half = None if _is_estimate(records, metric) else figure.half_width
    return InterimEstimate(
        experiment_id=experiment_id,
        n=figure.n,
        mean=figure.mean,
        relative_half_width=None if half is None or not figure.mean else half / abs(figure.mean),
    )

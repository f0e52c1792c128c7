"""From a study's tables and raw records to what the report is made of: experiments and setups.

The report reads a raw record here and in `environment`, nowhere else.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from llenergymeasure.records.labels import Part, configuration_parts, setup_parts
from llenergymeasure.records.measurement import WeightStorage
from llenergymeasure.records.metrics import ENERGY_METRICS, PARTS, SUMMARY_METRICS
from llenergymeasure.records.setup import LoadRecord
from llenergymeasure.records.validity import Reason, WarningRecord
from llenergymeasure.results.reading.compact import CompactRecord
from llenergymeasure.results.reading.read import StudyResults
from llenergymeasure.results.report.evidence import merge_evidence
from llenergymeasure.results.report.experiments import RANKED_BY, Agreement, Experiment
from llenergymeasure.results.report.findings import RunFinding
from llenergymeasure.results.statistics.counted import counted
from llenergymeasure.results.statistics.estimates import Estimate
from llenergymeasure.results.tables.empty_cells import none_if_nan
from llenergymeasure.results.tables.load_cost import LoadCost, load_cost
from llenergymeasure.results.tables.output_match import comparison_from_row

NOT_RUN = "no replicate gave figures"


@dataclass(frozen=True)
class Setup:
    """One way of loading a model. failure: why it failed, None where it did not; memory_source: what saw the peaks

    weight_storage: of its first measurement that is not failed; None where there is none
    """

    setup_id: str
    parts: list[Part]
    failure: str | None
    cost: LoadCost
    memory_source: str | None
    weight_storage: WeightStorage | None


def experiments_from_study(study: StudyResults) -> list[Experiment]:
    """All experiments of the plan, in its order."""
    parts = configuration_parts(study.plan)
    values = {metric: _figures_by_replicate(study.runs, metric) for metric in RANKED_BY}
    records: dict[str, list[CompactRecord]] = {}
    for record in study.records:
        records.setdefault(record.experiment_id, []).append(record)
    return [
        _experiment(
            row,
            records[row["experiment_id"]],
            parts=parts[row["experiment_id"]],
            session_id=study.plan.experiments[row["experiment_id"]].session_id,
            values={metric: figures.get(row["experiment_id"], {}) for metric, figures in values.items()},
            level=study.plan.nominal_level,
        )
        for row in study.summary.to_dict("records")
    ]


def setups_from_study(study: StudyResults) -> list[Setup]:
    """All setups of the plan, in the order in which its experiments need them."""
    parts = setup_parts(study.plan)
    storage: dict[str, WeightStorage] = {}
    for measured in study.records:
        if measured.weight_storage is not None:
            storage.setdefault(measured.setup_id, measured.weight_storage)
    return [
        Setup(
            setup_id=record.setup_id,
            parts=parts[record.setup_id],
            failure=_describe_failure(record),
            cost=load_cost(record),
            memory_source=None if record.memory is None else record.memory.source,
            weight_storage=storage.get(record.setup_id),
        )
        for record in study.setups
    ]


def _experiment(
    row: Mapping[Hashable, Any],
    records: Sequence[CompactRecord],
    *,
    parts: list[Part],
    session_id: str,
    values: Mapping[str, Mapping[int, float]],
    level: float,
) -> Experiment:
    """From its row of the summary and the records of its replicates."""
    estimates = {metric: _estimate(row, metric) for metric in SUMMARY_METRICS}
    valid = [record for record in records if record.status == "ok"]
    notes = none_if_nan(row["notes"])
    return Experiment(
        experiment_id=row["experiment_id"],
        setup_id=row["setup_id"],
        session_id=session_id,
        parts=parts,
        status=row["status"],
        reason=none_if_nan(row["failure_reason"]),
        replicates=int(row["replicates"]),
        suspect_left_out=int(row["suspect_left_out"]),
        energy_source=none_if_nan(row["energy_source"]),
        meter_uncertainty=_meter_uncertainty(valid),
        output_digest=none_if_nan(row["output_digest"]),
        comparison=comparison_from_row(row, valid),
        estimates=estimates,
        values=values,
        unknown={
            metric: _why_unknown(metric, valid, notes)
            for metric, estimate in estimates.items()
            if estimate.mean is None
        },
        expanded95={
            metric: float(row[f"{metric}_expanded95"])
            for metric in SUMMARY_METRICS
            if metric in ENERGY_METRICS and none_if_nan(row[f"{metric}_expanded95"]) is not None
        },
        level=level,
        doubts=[finding for record in valid for finding in _reasons(record)],
        warnings=[_finding(record, warning) for record in records for warning in record.warnings],
        invalid_codes={
            record.replicate: [finding.code for finding in _reasons(record, severity="invalid")]
            for record in records
            if record.status == "invalid"
        },
        evidence=merge_evidence(record.evidence for record in records),
        budgets=[budget for record in valid if (budget := _relative_budget(record))],
        phase_agreement=_phase_agreement(valid),
    )


def _figures_by_replicate(runs: pd.DataFrame, metric: str) -> dict[str, dict[int, float]]:
    known = runs[counted(runs) & runs[metric].notna().to_numpy(bool)]
    figures: dict[str, dict[int, float]] = {}
    for name, replicate, value in zip(known["experiment_id"], known["replicate"], known[metric], strict=True):
        figures.setdefault(str(name), {})[int(replicate)] = float(value)
    return figures


def _estimate(row: Mapping[Hashable, Any], metric: str) -> Estimate:
    mean, low, high = (none_if_nan(row[f"{metric}_{part}"]) for part in PARTS)
    return Estimate(int(row[f"{metric}_n"]), mean, low, high)


def _reasons(record: CompactRecord, severity: str | None = None) -> list[RunFinding]:
    """The reasons of a run's verdict; of one severity where it is named."""
    reasons = () if record.validity is None else record.validity.reasons
    return [_finding(record, reason) for reason in reasons if severity in (None, reason.severity)]


def _finding(record: CompactRecord, entry: Reason | WarningRecord) -> RunFinding:
    return RunFinding(record.experiment_id, record.replicate, entry.code, entry.message)


def _why_unknown(metric: str, valid: Iterable[CompactRecord], notes: str | None) -> str:
    records = list(valid)
    if not records:
        return NOT_RUN
    reasons = dict.fromkeys(record.unknown[metric] for record in records if metric in record.unknown)
    return "; ".join(reasons) or notes or "the record gives no reason"


def _meter_uncertainty(valid: Iterable[CompactRecord]) -> float | None:
    """The largest over replicates of u(E)/E in the measured window; None where a meter states none."""
    uncertainties = [record.meter_uncertainty for record in valid]
    known = [uncertainty for uncertainty in uncertainties if uncertainty is not None]
    return max(known, default=None) if len(known) == len(uncertainties) else None


def _relative_budget(record: CompactRecord) -> dict[str, float]:
    """Kind of component → relative standard uncertainty of energy per output token; empty where none is stated."""
    components, figure = record.budget, record.energy_j
    if not components or not figure:
        return {}
    squares: dict[str, list[float]] = {}
    for component in components:
        squares.setdefault(component.kind, []).append((component.standard_uncertainty / figure) ** 2)
    return {kind: math.sqrt(math.fsum(terms)) for kind, terms in squares.items()}


def _phase_agreement(valid: Iterable[CompactRecord]) -> Agreement:
    compared = [record.phases_agree for record in valid if record.phases_agree is not None]
    return Agreement(sum(compared), len(compared))


def _describe_failure(record: LoadRecord) -> str | None:
    if record.status == "ok":
        return None
    failure = record.failure
    return "failed" if failure is None else f"{failure.stage}: {failure.error_class}: {failure.reason}"

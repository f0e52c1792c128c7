"""One experiment as the report and the terminal summary see it: from the summary, the runs and the records."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from llenergymeasure.records.labels import Part, as_text, configuration_parts
from llenergymeasure.records.metrics import ENERGY_METRICS, PARTS, SUMMARY_METRICS
from llenergymeasure.results.reading.compact import ENERGY, CompactRecord
from llenergymeasure.results.reading.read import StudyResults
from llenergymeasure.results.statistics.estimates import Estimate
from llenergymeasure.results.tables.output_match import Comparison, comparison_of

__all__ = ["ENERGY", "SPEED", "Experiment", "experiments_of", "is_estimated", "source_words"]

SPEED = "throughput_output_tokens_per_s"
# What configurations are ranked by.
RANKED_BY = (ENERGY, SPEED)
NOT_RUN = "no replicate gave figures"


@dataclass(frozen=True)
class Experiment:
    """Figures of one configuration.

    values: metric they are ranked by → replicate → its figure, of the valid replicates that have one
    validity: the worst verdict over replicates; `doubts` are the reasons with how many replicates each is of
    level: nominal level of its intervals, see `looking.nominal_level`
    expanded95: metric → half width of the 95 % interval of the mean with the instrument in it
    unknown: metric → why it has no mean
    meter_uncertainty: relative standard uncertainty of the meter itself, which replicates can't show
    """

    experiment_id: str
    setup_id: str
    parts: list[Part]
    status: str
    reason: str | None
    notes: str | None
    replicates: int
    energy_source: str | None
    meter_uncertainty: float | None
    output_digest: str | None
    comparison: Comparison
    estimates: Mapping[str, Estimate]
    values: Mapping[str, Mapping[int, float]]
    unknown: Mapping[str, str]
    session_id: str
    validity: str | None
    doubts: Sequence[tuple[str, int]]
    expanded95: Mapping[str, float]
    level: float

    @property
    def label(self) -> str:
        return as_text(self.parts)

    @property
    def ranked(self) -> bool:
        """Whether its figures are those of the configuration asked for: a failed or invalid one is not ranked."""
        return self.status in ("ok", "partial")

    @property
    def suspect(self) -> bool:
        """Whether something was seen in a window of it that may have changed its figures."""
        return bool(self.doubts)

    @property
    def estimated(self) -> bool:
        return is_estimated(self.energy_source)

    def mean(self, metric: str) -> float | None:
        return self.estimates[metric].mean


def is_estimated(source: str | None) -> bool:
    """Whether a source, or any part of a sum of sources, is an estimate."""
    return source is not None and any(part.startswith("estimated:") for part in source.split("+"))


def source_words(source: str) -> str:
    """`measured by nvml-total-energy`, `estimated by codecarbon`: a source, or a sum of sources of one kind."""
    pairs = [part.partition(":") for part in source.split("+")]
    kinds = dict.fromkeys(kind for kind, _, _ in pairs)
    return f"{' and '.join(kinds)} by {' and '.join(meter for _, _, meter in pairs)}"


def experiments_of(study: StudyResults) -> list[Experiment]:
    """All experiments of the plan, in its order."""
    parts = configuration_parts(study.plan)
    values = {metric: _by_replicate(study.runs, metric) for metric in RANKED_BY}
    records: dict[str, list[CompactRecord]] = {}
    for record in study.records:
        records.setdefault(record.experiment_id, []).append(record)
    experiments = []
    for row in study.summary.to_dict("records"):
        name = row["experiment_id"]
        estimates = {metric: _estimate(row, metric) for metric in SUMMARY_METRICS}
        valid = [record for record in records[name] if record.status == "ok"]
        experiments.append(
            Experiment(
                experiment_id=name,
                setup_id=row["setup_id"],
                parts=parts[name],
                status=row["status"],
                reason=_known(row["failure_reason"]),
                notes=_known(row["notes"]),
                replicates=int(row["replicates"]),
                energy_source=_known(row["energy_source"]),
                meter_uncertainty=_meter_uncertainty(valid),
                output_digest=_known(row["output_digest"]),
                comparison=comparison_of(row, valid),
                estimates=estimates,
                values={metric: found.get(name, {}) for metric, found in values.items()},
                unknown={
                    metric: _why_unknown(metric, valid, _known(row["notes"]))
                    for metric, value in estimates.items()
                    if value.mean is None
                },
                session_id=study.plan.experiments[name].session_id,
                validity=_known(row["validity"]),
                level=study.plan.nominal_level,
                doubts=_doubts(records[name]),
                expanded95={
                    metric: float(row[f"{metric}_expanded95"])
                    for metric in SUMMARY_METRICS
                    if metric in ENERGY_METRICS and _known(row[f"{metric}_expanded95"]) is not None
                },
            )
        )
    return experiments


def _by_replicate(runs: pd.DataFrame, metric: str) -> dict[str, dict[int, float]]:
    known = runs[(runs["status"] == "ok") & runs[metric].notna()]
    found: dict[str, dict[int, float]] = {}
    for name, number, value in zip(known["experiment_id"], known["replicate"], known[metric], strict=True):
        found.setdefault(str(name), {})[int(number)] = float(value)
    return found


def _doubts(records: Iterable[CompactRecord]) -> list[tuple[str, int]]:
    """Why runs are suspect, most frequent first; an invalid run has its reason elsewhere."""
    counted = Counter(
        reason.message
        for record in records
        if record.status == "ok" and record.validity is not None
        for reason in record.validity.reasons
    )
    return counted.most_common()


def _estimate(row: Mapping[Hashable, Any], metric: str) -> Estimate:
    mean, low, high = (_known(row[f"{metric}_{part}"]) for part in PARTS)
    return Estimate(int(row[f"{metric}_n"]), mean, low, high)


def _why_unknown(metric: str, valid: Iterable[CompactRecord], notes: str | None) -> str:
    records = list(valid)
    if not records:
        return NOT_RUN
    reasons = dict.fromkeys(record.unknown[metric] for record in records if metric in record.unknown)
    return "; ".join(reasons) or notes or "the record gives no reason"


def _meter_uncertainty(valid: Iterable[CompactRecord]) -> float | None:
    """The largest over replicates of u(E)/E in the measured window; None where a meter states none."""
    stated = [record.meter_uncertainty for record in valid]
    known = [value for value in stated if value is not None]
    return max(known, default=None) if len(known) == len(stated) else None


def _known(value: Any) -> Any:
    return None if value is None or pd.isna(value) else value

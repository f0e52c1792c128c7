"""Why replicates gave no figures that count: failed runs by stage and error, invalid runs by code."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from llenergymeasure.results.report.experiments import Experiment


@dataclass(frozen=True)
class FailureRow:
    """One cause for which replicates of an experiment failed or are invalid.

    cause: the stage that failed, or the codes of the verdict
    error_class: empty for an invalid run
    reason: of the first of the replicates; `other_reasons`: how many more there are beside it
    """

    experiment: Experiment
    status: str
    replicates: list[int]
    cause: str
    error_class: str
    reason: str
    other_reasons: int
    log: str


@dataclass(frozen=True)
class _Cause:
    """What replicates that share a row agree on."""

    experiment_id: str
    status: str
    cause: str
    error_class: str


def failure_rows(experiments: Sequence[Experiment], runs: Iterable[Mapping[Hashable, Any]]) -> list[FailureRow]:
    """Failed and invalid runs; replicates with the same cause share a row. runs: the rows of runs.parquet"""
    by_id = {experiment.experiment_id: experiment for experiment in experiments}
    runs_by_cause: dict[_Cause, list[Mapping[Hashable, Any]]] = {}
    for run in runs:
        if run["status"] != "ok":
            runs_by_cause.setdefault(_cause(by_id[run["experiment_id"]], run), []).append(run)
    return [_row(by_id[cause.experiment_id], cause, members) for cause, members in runs_by_cause.items()]


def _cause(experiment: Experiment, run: Mapping[Hashable, Any]) -> _Cause:
    if run["status"] == "invalid":
        cause = ", ".join(dict.fromkeys(experiment.invalid_codes[int(run["replicate"])]))
    else:
        cause = _text(run["failure_stage"])
    return _Cause(experiment.experiment_id, run["status"], cause, _text(run["failure_class"]))


def _row(experiment: Experiment, cause: _Cause, runs: Sequence[Mapping[Hashable, Any]]) -> FailureRow:
    reasons = list(dict.fromkeys(_text(run["failure_reason"]) for run in runs))
    return FailureRow(
        experiment=experiment,
        status=cause.status,
        replicates=[int(run["replicate"]) for run in runs],
        cause=cause.cause,
        error_class=cause.error_class,
        reason=reasons[0],
        other_reasons=len(reasons) - 1,
        log=_text(runs[0]["log"]),
    )


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""

"""Why replicates gave no figures that count: failed runs by stage and error, invalid runs by code."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from llenergymeasure.results.report.experiments import Experiment
from llenergymeasure.results.report.findings import advice


@dataclass(frozen=True)
class FailureRow:
    """One cause for which replicates of an experiment failed or are invalid.

    stage, error_class: of a failed run; empty for an invalid one
    codes: of an invalid run's verdict; empty for a failed one
    reason: of the first of the replicates; `other_reasons`: how many more there are beside it
    """

    experiment: Experiment
    status: str
    replicates: list[int]
    stage: str
    error_class: str
    codes: tuple[str, ...]
    reason: str
    other_reasons: int
    log: str

    @property
    def advice(self) -> list[str]:
        return [text for code in self.codes if (text := advice(code))]


def failure_rows(experiments: Sequence[Experiment], runs: Iterable[Mapping[Hashable, Any]]) -> list[FailureRow]:
    """Failed and invalid runs; replicates with the same cause share a row. runs: the rows of runs.parquet"""
    by_id = {experiment.experiment_id: experiment for experiment in experiments}
    by_cause: dict[tuple[Any, ...], list[Mapping[Hashable, Any]]] = {}
    for run in runs:
        if run["status"] != "ok":
            codes = _codes(by_id[run["experiment_id"]], run)
            names = ("experiment_id", "status", "failure_stage", "failure_class")
            by_cause.setdefault((codes, *(_text(run[name]) for name in names)), []).append(run)
    return [_row(by_id[members[0]["experiment_id"]], codes, members) for (codes, *_), members in by_cause.items()]


def _codes(experiment: Experiment, run: Mapping[Hashable, Any]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(experiment.invalid_codes.get(int(run["replicate"]), ())))


def _row(experiment: Experiment, codes: tuple[str, ...], runs: Sequence[Mapping[Hashable, Any]]) -> FailureRow:
    """From the runs that share a cause."""
    first = runs[0]
    reasons = list(dict.fromkeys(_text(run["failure_reason"]) for run in runs))
    return FailureRow(
        experiment=experiment,
        status=first["status"],
        replicates=[int(run["replicate"]) for run in runs],
        stage=_text(first["failure_stage"]),
        error_class=_text(first["failure_class"]),
        codes=codes,
        reason=reasons[0],
        other_reasons=len(reasons) - 1,
        log=_text(first["log"]),
    )


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""

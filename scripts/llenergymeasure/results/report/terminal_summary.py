"""The summary in five lines, for the end of a run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from llenergymeasure.config.problems.text import counted, first_few, printable, shortened
from llenergymeasure.results.reading.read import StudyResults
from llenergymeasure.results.report.experiments import ENERGY, SPEED, Experiment, describe_source
from llenergymeasure.results.report.findings import group_by_code
from llenergymeasure.results.report.formatting import choose_scale
from llenergymeasure.results.report.headlines import describe_chosen_interval, describe_comparison
from llenergymeasure.results.report.ranking import Analyses, Best, analyses_of_study, best, groups_by_source
from llenergymeasure.results.report.study_reading import experiments_from_study
from llenergymeasure.results.report.tables.rerun import describe_rerun
from llenergymeasure.results.tables.interim import in_words

# How many reasons of failures are shown, and how many letters of each.
REASONS, LETTERS = 2, 160


def five_lines(study: StudyResults, report: Path) -> str:
    """Study, best by energy, best by speed, failures and warnings, where the report is; a sixth for a rerun."""
    experiments = experiments_from_study(study)
    ranked = [experiment for experiment in experiments if experiment.ranked]
    analyses = analyses_of_study(study)
    warnings = int(study.summary["warnings"].sum())
    lines = (
        ("study:          ", _describe_study(study, experiments)),
        ("best by energy: ", _best_by_energy(experiments, analyses)),
        ("best by speed:  ", _describe_best(best(ranked, SPEED, analyses))),
        ("failures:       ", _describe_failures(experiments, _describe_doubts(experiments, warnings))),
        *([] if study.rerun is None else [("rerun of:       ", _describe_rerun(study.rerun))]),
        ("report:         ", str(report)),
    )
    return "".join(f"{title}{printable(text)}\n" for title, text in lines)


def _describe_study(study: StudyResults, experiments: Sequence[Experiment]) -> str:
    measured = sum(experiment.ranked for experiment in experiments)
    counts = [f"{measured} measured", *_counts(experiments, ("failed", "invalid"))]
    tally = f"{counted(len(experiments), 'experiment')} × {counted(study.plan.replicates, 'replicate')}"
    interim = study.plan.interim
    ended = "" if interim is None else f"; {in_words(interim)}"
    return f"{study.plan.study} · {tally}: {', '.join(counts)}{ended}"


def _best_by_energy(experiments: Sequence[Experiment], analyses: Analyses) -> str:
    # Measured and estimated joules are never compared with each other: each source has its own best.
    sentences = [
        f"{_describe_best(best(group.experiments, ENERGY, analyses))} [{_mark_estimate(describe_source(group.source))}]"
        for group in groups_by_source(experiments)
        if group.source is not None
    ]
    return "; ".join(sentences) or "unknown: no experiment has an energy figure"


def _mark_estimate(source: str) -> str:
    return source.replace("estimated", "ESTIMATED")


def _describe_best(winner: Best | None) -> str:
    if winner is None:
        return "unknown: nothing was measured"
    experiment, estimate = winner.first, winner.first.estimates[winner.metric]
    assert estimate.mean is not None
    scale = choose_scale(winner.metric, [estimate.mean])
    second = "" if winner.second is None and not winner.estimated else f"; {describe_comparison(winner)}"
    figure = f"{scale.value(estimate.mean)} {scale.unit} ({describe_chosen_interval(winner, scale)})"
    return f"{experiment.label} · {figure}{second}{_describe_other_output(experiment)}"


def _describe_other_output(experiment: Experiment) -> str:
    """What must be said beside a best figure: that this configuration generates something else than the reference."""
    if not experiment.comparison.differs:
        return ""
    return f"; its output differs from the reference's from token {experiment.comparison.first_difference}"


def _describe_failures(experiments: Sequence[Experiment], doubts: str) -> str:
    incomplete = [experiment for experiment in experiments if experiment.status != "ok"]
    if not incomplete:
        return f"no failures, {doubts}"
    counts = ", ".join(_counts(experiments, ("failed", "invalid", "partial")))
    reasons = list(dict.fromkeys(f"{experiment.label}: {experiment.reason}" for experiment in incomplete))
    first = first_few((shortened(reason, LETTERS) for reason in reasons), REASONS, "; ")
    return f"{counts}, {doubts}; {first}"


def _describe_doubts(experiments: Sequence[Experiment], warnings: int) -> str:
    """`2 warnings, 1 suspect (clock-fell; see the report)`: the codes say why."""
    noted = counted(warnings, "warning") if warnings else "no warnings"
    suspect = [experiment for experiment in experiments if experiment.suspect]
    if not suspect:
        return noted
    groups = group_by_code(finding for experiment in suspect for finding in experiment.doubts)
    codes = ", ".join(group.code for group in groups)
    return f"{noted}, {len(suspect)} suspect ({codes}; see the report)"


def _describe_rerun(comparison: pd.DataFrame) -> str:
    return f"{comparison['rerun_of'].iloc[0]} · {describe_rerun(comparison)}"


def _counts(experiments: Sequence[Experiment], statuses: Sequence[str]) -> list[str]:
    """`2 failed`, for each status that an experiment has."""
    numbers = {status: sum(experiment.status == status for experiment in experiments) for status in statuses}
    return [f"{number} {status}" for status, number in numbers.items() if number]

"""report.html: one self-contained page. No request leaves it, and no text from outside becomes markup or script."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llenergymeasure.records.labels import configuration_parts
from llenergymeasure.records.metrics import METRICS
from llenergymeasure.records.schema import SCHEMA_VERSION
from llenergymeasure.records.storage.atomic import write_text
from llenergymeasure.results.reading.read import StudyResults, with_evidence
from llenergymeasure.results.report.environment import environment_facts, machine_names
from llenergymeasure.results.report.experiments import ENERGY, SPEED, Experiment
from llenergymeasure.results.report.figures.energy_throughput import scatter
from llenergymeasure.results.report.figures.latencies import latency_figure
from llenergymeasure.results.report.figures.memory import memory_figure
from llenergymeasure.results.report.figures.phases import phase_figure
from llenergymeasure.results.report.findings import group_by_code
from llenergymeasure.results.report.headlines import headlines
from llenergymeasure.results.report.page_templates import TEMPLATES, fill_template
from llenergymeasure.results.report.ranking import Analyses, Group, analyses_of_study, groups_by_source
from llenergymeasure.results.report.study_reading import Setup, experiments_from_study, setups_from_study
from llenergymeasure.results.report.tables.assumptions import describe_assumptions
from llenergymeasure.results.report.tables.costs import cost_table
from llenergymeasure.results.report.tables.failures import failure_rows
from llenergymeasure.results.report.tables.further import further_table
from llenergymeasure.results.report.tables.outputs import output_table
from llenergymeasure.results.report.tables.percentiles import percentile_table
from llenergymeasure.results.report.tables.phases import phase_table
from llenergymeasure.results.report.tables.precision import budget_table, describe_detectable, ratio_table
from llenergymeasure.results.report.tables.ranking import ranking_table
from llenergymeasure.results.report.tables.rerun import rerun_table
from llenergymeasure.results.report.tables.setups import setup_table
from llenergymeasure.results.report.tables.token_costs import token_cost_table
from llenergymeasure.results.report.tables.unknown import unknown_rows
from llenergymeasure.results.report.truncation import Shown, shown
from llenergymeasure.results.statistics.analysis import measured_reference
from llenergymeasure.results.statistics.split_plot import SplitPlot
from llenergymeasure.results.tables.interim import in_words
from llenergymeasure.results.tables.slo import slo_limits
from llenergymeasure.results.tables.token_costs import token_costs


def write_report(study: StudyResults, html: Path) -> None:
    """Write the page, whole or not at all."""
    write_text(render(study), html)


def render(study: StudyResults) -> str:
    """The page as HTML."""
    script = (TEMPLATES / "report.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    # Only this one script may run, whatever a model's name or an error message holds.
    return fill_template("report.html", **page(study), script=script, script_digest=digest)


@dataclass(frozen=True)
class _Contents:
    """What several sections are made of.

    groups: ranked experiments by source of energy, best first
    numbers: experiment_id → rank inside its group, which names it in every figure and table
    analyses: of the study's metrics
    """

    study: StudyResults
    experiments: list[Experiment]
    setups: list[Setup]
    groups: list[Group]
    numbers: dict[str, str]
    analyses: Analyses

    @property
    def ranked(self) -> list[Experiment]:
        return [experiment for group in self.groups for experiment in group.experiments]

    @property
    def groups_with_energy(self) -> list[tuple[str, list[Experiment]]]:
        return [(group.source, group.experiments) for group in self.groups if group.source is not None]

    @property
    def best_of_all(self) -> Shown[Experiment]:
        """What a table of all sources shows: of very many configurations, the best of the first source."""
        return shown(self.ranked)

    def of_status(self, status: str) -> list[Experiment]:
        return [experiment for experiment in self.experiments if experiment.status == status]


def page(study: StudyResults) -> dict[str, Any]:
    """Everything the templates show, by name."""
    experiments = experiments_from_study(study)
    groups = groups_by_source(experiments)
    setups, analyses = setups_from_study(study), analyses_of_study(study)
    contents = _Contents(study, experiments, setups, groups, _numbers(groups), analyses)
    return {
        **_overview(contents),
        **_figures(contents),
        **_tables(contents),
        **_problems(contents),
        **_evidence(contents),
    }


def _numbers(groups: Sequence[Group]) -> dict[str, str]:
    """Ranks; several groups are told apart by a letter."""
    return {
        experiment.experiment_id: f"{chr(ord('A') + letter) if len(groups) > 1 else ''}{place}"
        for letter, group in enumerate(groups)
        for place, experiment in enumerate(group.experiments, start=1)
    }


def _overview(contents: _Contents) -> dict[str, Any]:
    """Head, cards and banners."""
    study = contents.study
    interim = study.plan.interim
    return {
        "plan": study.plan,
        "schema_version": SCHEMA_VERSION,
        "ended": None if interim is None else in_words(interim),
        "models": list(dict.fromkeys(entry.config["model"] for entry in study.plan.experiments.values())),
        "machines": machine_names(study.records),
        "experiments": contents.experiments,
        "ranked": contents.ranked,
        "failed": contents.of_status("failed"),
        "invalid": contents.of_status("invalid"),
        "partial": contents.of_status("partial"),
        "headlines": headlines(contents.groups, contents.analyses),
        "estimated": any(group.estimated for group in contents.groups),
        "sources": [source for source, _ in contents.groups_with_energy],
        "metrics": list(METRICS.values()),
    }


def _figures(contents: _Contents) -> dict[str, Any]:
    numbers, ranked = contents.numbers, contents.ranked
    costs = {setup.setup_id: setup.cost for setup in contents.setups}
    scatters = [scatter(experiments, numbers, source) for source, experiments in contents.groups_with_energy]
    phases = [(source, phase_figure(experiments, numbers)) for source, experiments in contents.groups_with_energy]
    return {
        "scatters": [figure for figure in scatters if figure is not None],
        "phases": [(source, figure) for source, figure in phases if figure is not None],
        "latencies": latency_figure(ranked, numbers, contents.study.latencies),
        "memory": memory_figure(ranked, numbers, costs),
        "memory_sources": list(dict.fromkeys(setup.memory_source for setup in contents.setups if setup.memory_source)),
    }


def _tables(contents: _Contents) -> dict[str, Any]:
    study, numbers, best_of_all = contents.study, contents.numbers, contents.best_of_all
    judged, analyses = _judged(contents)
    phase_tables = []
    for source, experiments in contents.groups_with_energy:
        best = shown(experiments)
        if (table := phase_table(best.rows, numbers)) is not None:
            phase_tables.append((source, table, best.left_out))
    return {
        "best_of_all": best_of_all,
        "ranking": ranking_table(contents.groups, numbers),
        "outputs": output_table(contents.experiments),
        "rerun": rerun_table(study.rerun, contents.experiments),
        "phase_tables": phase_tables,
        "token_costs": token_cost_table(token_costs(study.plan, study.runs), configuration_parts(study.plan)),
        "detectable": describe_detectable(measured_reference(study.plan), judged, analyses),
        "assumptions": describe_assumptions(
            study.plan,
            study.runs,
            judged,
            analyses,
            {experiment.experiment_id: experiment.label for experiment in contents.experiments},
        ),
        "ratios": ratio_table(study.summary, measured_reference(study.plan), best_of_all.rows, numbers),
        "budgets": budget_table(best_of_all.rows, numbers),
        "costs": cost_table(study.costs, best_of_all.rows, numbers),
        "further": further_table(best_of_all.rows, numbers, slo_limits(study.summary)),
        "percentiles": percentile_table(best_of_all.rows, numbers, study.latencies),
        "setups": setup_table(contents.setups, contents.experiments),
    }


def _judged(contents: _Contents) -> tuple[str, list[SplitPlot]]:
    """The metric by which the page says how sure comparisons are, and its analyses: energy, or speed without joules
    that are measured."""
    accounts = [group.account for group in contents.groups if group.source is not None and not group.estimated]
    if accounts:
        return ENERGY, [contents.analyses(ENERGY, account, False) for account in accounts]
    return SPEED, [contents.analyses(SPEED, None, False)]


def _problems(contents: _Contents) -> dict[str, Any]:
    """Failures, doubts and warnings, and what the plan left out."""
    study, experiments = contents.study, contents.experiments
    return {
        "failures": shown(failure_rows(experiments, study.runs.to_dict("records"))),
        "doubts": group_by_code(finding for experiment in experiments for finding in experiment.doubts),
        "suspects": shown([experiment for experiment in experiments if experiment.suspect]),
        "warnings": group_by_code(finding for experiment in experiments for finding in experiment.warnings),
        "unknown": unknown_rows(experiments),
        "skipped": shown(study.plan.skipped),
        "duplicates": shown(study.plan.duplicates),
        "left_out": study.left_out,
    }


def _evidence(contents: _Contents) -> dict[str, Any]:
    """Evidence of the experiments that the page unfolds, and what all of them were measured on."""
    unfolded = set(with_evidence(contents.study.summary))
    return {
        "evidence": [experiment for experiment in contents.experiments if experiment.experiment_id in unfolded],
        "without_evidence": len(contents.experiments) - len(unfolded),
        "environment": environment_facts(contents.study.records),
    }

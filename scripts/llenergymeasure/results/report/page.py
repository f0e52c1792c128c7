"""report.html: one self-contained page. No request leaves it, and no text from outside becomes markup or script."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from llenergymeasure.records.atomic import write_text
from llenergymeasure.records.labels import configuration_parts, setup_parts
from llenergymeasure.records.metrics import METRICS
from llenergymeasure.records.schema import SCHEMA_VERSION
from llenergymeasure.results.reading.compact import CompactRecord
from llenergymeasure.results.reading.read import StudyResults, with_evidence
from llenergymeasure.results.report.cost_table import cost_table
from llenergymeasure.results.report.environment import environment_facts, machine_names
from llenergymeasure.results.report.evidence import Finding, merged_evidence
from llenergymeasure.results.report.experiments import ENERGY, SPEED, Experiment, experiments_of, source_words
from llenergymeasure.results.report.figures import latency_figure, memory_rows, phase_rows, scatter
from llenergymeasure.results.report.formatting import Scale, percent, scale_of
from llenergymeasure.results.report.output_table import output_table
from llenergymeasure.results.report.percentile_table import percentile_table
from llenergymeasure.results.report.phase_table import cost_heads, cost_rows, phase_table
from llenergymeasure.results.report.precision_table import budget_table, detectable_words, ratio_table
from llenergymeasure.results.report.ranking import Best, best, groups_by_source
from llenergymeasure.results.report.rerun_table import rerun_table
from llenergymeasure.results.report.tables import (
    failure_rows,
    ranking_groups,
    ranking_heads,
    ranking_scales,
    setup_table,
    unknown_rows,
    warning_rows,
)
from llenergymeasure.results.report.terminal_summary import distinguishable
from llenergymeasure.results.report.truncation import shown
from llenergymeasure.results.statistics.analysis import reference_of
from llenergymeasure.results.statistics.estimates import Estimate
from llenergymeasure.results.tables.interim import in_words
from llenergymeasure.results.tables.load_cost import load_cost
from llenergymeasure.results.tables.token_costs import token_costs

TEMPLATES = Path(__file__).with_name("templates")


@dataclass(frozen=True)
class Headline:
    """A best configuration with its figure: what a reader takes home."""

    title: str
    experiment: Experiment
    text: str
    unit: str
    interval: str
    versus: str
    source: str | None
    estimated: bool


def write_report(study: StudyResults, html: Path) -> None:
    """Write the page, whole or not at all."""
    write_text(render(study), html)


def render(study: StudyResults) -> str:
    """The page as HTML."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["percent"] = percent
    environment.filters["source_words"] = source_words
    script = (TEMPLATES / "report.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return environment.get_template("report.html").render(
        **page(study),
        style=(TEMPLATES / "report.css").read_text(encoding="utf-8"),
        script=script,
        # Only this one script may run, whatever a model's name or an error message holds.
        script_digest=digest,
    )


def page(study: StudyResults) -> dict[str, Any]:
    """Everything the template shows, by name."""
    plan = study.plan
    experiments = experiments_of(study)
    groups = groups_by_source(experiments)
    ranked = [item for group in groups for item in group.experiments]
    # The rank inside its group names a configuration in every figure; several groups are told apart by a letter.
    numbers = {
        item.experiment_id: f"{chr(ord('A') + letter) if len(groups) > 1 else ''}{place}"
        for letter, group in enumerate(groups)
        for place, item in enumerate(group.experiments, start=1)
    }
    scales = ranking_scales(ranked)
    # Tables of one source hold the best of it, those of all sources the best of the first.
    best_of_all = shown(ranked)
    unfolded = set(with_evidence(study.summary))
    failures = failure_rows(experiments, study.runs.to_dict("records"))
    suspects = [item for item in experiments if item.suspect]
    costs = {record.setup_id: load_cost(record) for record in study.setups}
    costs_of_tokens = token_costs(plan, study.runs)
    with_energy = [group for group in groups if group.source is not None]
    records: dict[str, list[CompactRecord]] = {}
    for record in study.records:
        records.setdefault(record.experiment_id, []).append(record)
    return {
        "schema_version": SCHEMA_VERSION,
        "ended": None if plan.interim is None else in_words(plan.interim),
        "plan": plan,
        "models": list(dict.fromkeys(entry.config["model"] for entry in plan.experiments.values())),
        "machines": machine_names(study.records),
        "experiments": experiments,
        "ranked": ranked,
        "failed": [item for item in experiments if item.status == "failed"],
        "invalid": [item for item in experiments if item.status == "invalid"],
        "partial": [item for item in experiments if item.status == "partial"],
        "headlines": [
            *(_headline("Best by energy", best(group.experiments, ENERGY), group.source) for group in with_energy),
            *([_headline("Best by speed", fastest, None)] if (fastest := best(ranked, SPEED)) else []),
        ],
        "estimated": any(group.estimated for group in with_energy),
        "sources": [group.source for group in with_energy],
        "no_energy": not with_energy,
        "heads": ranking_heads(scales),
        "groups": ranking_groups(groups, numbers, scales),
        "outputs": output_table(experiments),
        "rerun": rerun_table(study.rerun, experiments),
        "best_of_all": best_of_all,
        "scatters": [
            figure for group in with_energy if (figure := scatter(group.experiments, numbers, group.source or ""))
        ],
        "phases": [(group.source, rows) for group in with_energy if (rows := phase_rows(group.experiments, numbers))],
        "phase_tables": [
            (group.source, table, first.left_out)
            for group in with_energy
            for first in [shown(group.experiments)]
            if (table := phase_table(first.rows, numbers, records))
        ],
        "detectable": detectable_words(plan, study.runs, [group.source for group in with_energy]),
        "ratios": ratio_table(study.summary, reference_of(plan), best_of_all.rows, numbers),
        "budgets": budget_table(best_of_all.rows, numbers, records),
        "suspects": shown(suspects),
        "costs": cost_table(study.costs, best_of_all.rows, numbers),
        "cost_rows": shown(cost_rows(costs_of_tokens, configuration_parts(plan))),
        "cost_heads": cost_heads(costs_of_tokens),
        "latencies": latency_figure(ranked, numbers, study.latencies),
        "percentiles": percentile_table(best_of_all.rows, numbers, study.latencies),
        "memory": memory_rows(
            ranked,
            numbers,
            {name: (cost.resident_bytes, cost.load_peak_bytes) for name, cost in costs.items()},
        ),
        "memory_sources": list(
            dict.fromkeys(record.memory.source for record in study.setups if record.memory is not None)
        ),
        "setups": setup_table(study.setups, setup_parts(plan), experiments),
        "failures": shown(failures),
        "warnings": warning_rows(study.records),
        "unknown": unknown_rows(experiments),
        "evidence": [
            (item, *_evidence(records[item.experiment_id])) for item in experiments if item.experiment_id in unfolded
        ],
        "without_evidence": len(experiments) - len(unfolded),
        "skipped": shown(plan.skipped),
        "duplicates": shown(plan.duplicates),
        "environment": environment_facts(study.records),
        "metrics": list(METRICS.values()),
        "left_out": study.left_out,
    }


def _headline(title: str, found: Best | None, source: str | None) -> Headline:
    assert found is not None, "a group holds experiments with the figure it is ranked by"
    item, figure = found.first, found.first.estimates[found.metric]
    scale = scale_of(found.metric, [figure.mean])
    text, _ = scale.estimate(figure)
    estimated = METRICS[found.metric].energy and item.estimated
    interval = _interval_text(figure, scale)
    if found.metric in item.expanded95:
        interval += f"; ± {scale.value(item.expanded95[found.metric])} with the instrument"
    return Headline(title, item, text, scale.unit, interval, distinguishable(found), source, estimated)


def _interval_text(figure: Estimate, scale: Scale) -> str:
    if figure.low is None or figure.high is None:
        return "one replicate, no interval"
    return f"95 % interval {scale.value(figure.low)} to {scale.value(figure.high)}, n = {figure.n}"


def _evidence(records: list[CompactRecord]) -> tuple[list[Finding], list[Finding]]:
    """What was asked for, and what was left at the library's default."""
    found = merged_evidence(records)
    return (
        [item for item in found if item.verdict != "default"],
        [item for item in found if item.verdict == "default"],
    )

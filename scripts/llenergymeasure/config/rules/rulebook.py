"""Every rule between settings: those that parameters declare on their own fields, and those that are written out."""

from __future__ import annotations

from functools import cache

from llenergymeasure.config.problems.problem import Problem
from llenergymeasure.config.rules import dataset_rules, generation_rules, loading_rules, protocol_rules
from llenergymeasure.config.rules.passthrough import passthrough_problems
from llenergymeasure.config.rules.relations import Rule, rule_from_relation, violations
from llenergymeasure.config.settings.experiment import ExperimentSettings
from llenergymeasure.config.settings.registry import parameters
from llenergymeasure.config.settings.setting_paths import flatten


@cache
def rules() -> tuple[Rule, ...]:
    """Every rule: what the parameters declare, then the rest by subject."""
    declared = [
        rule_from_relation(parameter, relation)
        for parameter in parameters().values()
        for relation in parameter.relations
    ]
    return (
        *declared,
        *loading_rules.RULES,
        *generation_rules.RULES,
        *dataset_rules.RULES,
        *protocol_rules.RULES,
    )


@cache
def section_rules(section: str) -> tuple[Rule, ...]:
    """The rules that look at one section only."""
    return tuple(rule for rule in rules() if all(path.startswith(f"{section}.") for path in rule.paths))


def check_rules(config: ExperimentSettings, *, without: frozenset[str] = frozenset()) -> list[Problem]:
    """Every violation and every warning of an experiment, but for rules that look at a path in `without`."""
    wanted = rules()
    if without:
        wanted = tuple(rule for rule in wanted if without.isdisjoint(rule.paths))
    return [*violations(flatten(config), wanted), *passthrough_problems(config)]

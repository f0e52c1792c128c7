"""Which parameters exist and how they relate to each other, derived from their declarations."""

from __future__ import annotations

from typing import Any

from llenergymeasure.config.problems.catalogue import CHECKS
from llenergymeasure.config.rules.checked import ExperimentConfig
from llenergymeasure.config.rules.rulebook import rules
from llenergymeasure.config.settings.parameter import Relation
from llenergymeasure.config.settings.registry import parameters
from llenergymeasure.config.settings.setting_paths import leaves
from llenergymeasure.config.settings.type_words import options, wanted

BACKEND = "pytorch"


def get_backend_specific_params() -> dict[str, list[str]]:
    """Backend → dotted paths of the parameters that only it has."""
    return {BACKEND: [path for path in parameters() if path.startswith(f"{BACKEND}.")]}


def get_shared_params() -> dict[str, dict[str, Any]]:
    """Dotted path → description of every parameter that all backends share."""
    return {path: _describe(path) for path in parameters() if not path.startswith(f"{BACKEND}.")}


def get_all_params() -> dict[str, dict[str, Any]]:
    """Dotted path → description of every parameter: type, default, target, keyword, level, evidence …"""
    return {path: _describe(path) for path in parameters()}


def get_mutual_exclusions() -> dict[str, list[str]]:
    """Dotted path → what it cannot be combined with: a path, or `path: value` for one of its values."""
    exclusions: dict[str, list[str]] = {}
    for path, item in parameters().items():
        for relation in item.relations:
            if relation.severity == "error":
                exclusions.setdefault(path, []).append(_clash(relation))
                if relation.kind == "excludes" and relation.other.value is True:
                    exclusions.setdefault(relation.other.path, []).append(path)
    return exclusions


def get_param_skip_conditions() -> dict[str, str]:
    """Dotted path → what the machine, the model or the other settings must be like for a trial of it."""
    conditions = {}
    for path, item in parameters().items():
        reasons = [requirement.text() for requirement in item.requires]
        reasons += [item.untried] if item.untried else []
        reasons += [
            f"{relation.kind} {relation.other.text()}" for relation in item.relations if relation.severity == "error"
        ]
        if reasons:
            conditions[path] = "; ".join(reasons)
    return conditions


def get_validation_rules() -> list[dict[str, Any]]:
    """Every rule and check: id, severity, the settings it looks at, what is wrong and what to change."""
    listed: dict[str, dict[str, Any]] = {}
    for rule in rules():
        entry = listed.setdefault(
            rule.id, {"id": rule.id, "severity": rule.severity, "params": [], "message": rule.says, "fix": rule.fix}
        )
        entry["params"] += [path for path in rule.paths if path not in entry["params"]]
    for check in CHECKS:
        listed[check.id] = {
            "id": check.id,
            "severity": check.severity,
            "params": [],
            "message": check.says,
            "fix": check.fix,
        }
    return list(listed.values())


def get_param_test_values(path: str) -> list[Any]:
    """Values worth trying. KeyError for a path that is not a parameter."""
    return list(parameters()[path].test_values)


def get_param_options(path: str) -> list[Any] | None:
    """The values that a parameter is limited to, else None. KeyError for a path that is not a parameter."""
    return options(leaves()[parameters()[path].path].field)


def get_experiment_config_schema() -> dict[str, Any]:
    """JSON schema of an experiment."""
    return ExperimentConfig.model_json_schema()


def _describe(path: str) -> dict[str, Any]:
    item = parameters()[path]
    return {
        "type": wanted(leaves()[path].field),
        "default": item.default,
        "library_default": item.library_default,
        "target": item.target,
        "keyword": item.keyword,
        "level": item.level,
        "evidence": item.evidence,
        "options": get_param_options(path),
        "test_values": list(item.test_values),
        "requires": [requirement.text() for requirement in item.requires],
        "description": item.description,
    }


def _clash(relation: Relation) -> str:
    other = relation.other
    if relation.kind == "excludes":
        return other.path if other.value is True else other.text()
    if other.test == "set":
        return f"no {other.path}"
    if other.value is True:
        return f"{other.path}: false"
    if isinstance(other.value, str):
        return f"{other.path} other than {other.value}"
    return f"{other.path}: 1" if other.test == "above" else f"{other.path} above {other.value}"

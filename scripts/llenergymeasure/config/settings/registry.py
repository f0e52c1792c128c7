"""The registry of library parameters. Each is declared once, on its pydantic field, with `parameter(...)`.

Wiring (`keywords`), evidence (`requested`), rules, introspection, support tables, the JSON schema and the parameter
page are derived from these declarations. A value of None means "the library's default" and is not passed on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import Any

from llenergymeasure.config.settings.experiment import ExperimentSettings
from llenergymeasure.config.settings.parameter import Parameter, Target, When
from llenergymeasure.config.settings.setting_paths import flatten, leaves


@cache
def parameters() -> Mapping[str, Parameter]:
    """Every declared parameter by its dotted path, for example `pytorch.num_beams`."""
    declared = {}
    for path, leaf in leaves().items():
        for item in leaf.field.metadata:
            if isinstance(item, Parameter):
                declared[path] = replace(item, path=path, default=leaf.default, description=leaf.description)
    return declared


def requested(config: ExperimentSettings) -> dict[str, Any]:
    """What the study asks of the library: dotted path → value, for every parameter that is set.

    A sampler setting with greedy decoding asks for nothing (the rules refuse one that would), so it is not included.
    """
    return requested_from_values(flatten(config))


def requested_from_values(values: Mapping[str, Any]) -> dict[str, Any]:
    """`requested` of a flattened experiment."""
    greedy = values["decoder.do_sample"] is False
    sampling = _sampling_only()
    return {
        path: values[path] for path in parameters() if values[path] is not None and not (greedy and path in sampling)
    }


def keywords(config: ExperimentSettings, target: Target) -> dict[str, Any]:
    """The library's keywords for one target, plain values; only what `requested` includes."""
    declared = parameters()
    return {
        declared[path].keyword: value for path, value in requested(config).items() if declared[path].target == target
    }


@cache
def _sampling_only() -> frozenset[str]:
    sampling = When("decoder.do_sample", "is", True)
    return frozenset(
        path
        for path, item in parameters().items()
        if any(relation.kind == "needs" and relation.other == sampling for relation in item.relations)
    )

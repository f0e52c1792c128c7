"""Experiments that are the same to the library: one spells out a default that the other leaves to the library."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from llenergymeasure.config.problems.catalogue import POINTS_ALIKE
from llenergymeasure.config.problems.problem import Problem
from llenergymeasure.config.problems.text import show
from llenergymeasure.config.rules.checked import ExperimentConfig
from llenergymeasure.config.settings.registry import parameters, requested_from_values
from llenergymeasure.config.settings.setting_paths import flatten
from llenergymeasure.config.study.matrix import RawPoint
from llenergymeasure.config.study.points import Point


def points_alike(points: Sequence[Point], written: Mapping[str, RawPoint]) -> list[Problem]:
    """One warning per setting in which some experiments differ only in name. No experiment is removed.

    `written` holds, by experiment id, what the study says; the warning points to the first place that sets it.
    """
    firsts: dict[str, Point] = {}
    counts: dict[tuple[str, str, str], int] = {}
    places: dict[tuple[str, str, str], str] = {}
    for point in points:
        first = firsts.setdefault(_effect(point.config), point)
        if first is not point:
            for path, one, other in _differences(first.config, point.config):
                key = (path, one, other)
                counts[key] = counts.get(key, 0) + 1
                if key not in places:
                    places[key] = _place(path, written[point.experiment_id], written[first.experiment_id])
    return [
        POINTS_ALIKE.problem(
            places[path, one, other], f"{one} and {other} are the same to the library ({count} pairs of experiments)"
        )
        for (path, one, other), count in counts.items()
    ]


def _place(path: str, *points: RawPoint) -> str:
    """Where one of the points sets the path; the bare path if a preset or the library does."""
    return next((point.origin(path) for point in points if path in point.settings), path)


def _effect(config: ExperimentConfig) -> str:
    """The values in force for every setting, as text; equal for experiments that do the same."""
    settings = flatten(config)
    settings.pop("decoder.preset")
    return repr({**settings, **_library_defaults(), **requested_from_values(settings)})


@cache
def _library_defaults() -> Mapping[str, Any]:
    return {path: item.effective_default for path, item in parameters().items()}


def _differences(first: ExperimentConfig, second: ExperimentConfig) -> list[tuple[str, str, str]]:
    one, other = _shown(first), _shown(second)
    return [
        (path, show(one.get(path)), show(other.get(path)))
        for path in dict.fromkeys([*one, *other])
        if one.get(path) != other.get(path)
    ]


def _shown(config: ExperimentConfig) -> Mapping[str, Any]:
    return {path: value for path, value in flatten(config).items() if path != "decoder.preset"}

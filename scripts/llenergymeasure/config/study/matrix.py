"""The grammar of a matrix: product of the axes over the defaults, minus exclude, plus include, plus experiments."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from llenergymeasure.config.problems.catalogue import (
    AXES_OVERLAP,
    EMPTY_AXIS,
    EXCLUDE_EMPTY,
    EXCLUDE_UNMATCHED,
    WRONG_VALUE,
)
from llenergymeasure.config.problems.problem import Problem
from llenergymeasure.config.problems.text import show
from llenergymeasure.config.settings.setting_paths import is_leaf, is_section
from llenergymeasure.config.settings.study_config import StudyConfig
from llenergymeasure.config.study.build import spell_out, unknown_setting
from llenergymeasure.config.study.patterns import Pattern, in_force, matches, read_pattern


@dataclass(frozen=True)
class Axis:
    """One matrix path. `settings` are the leaf values each of its `values` stands for."""

    path: str
    values: tuple[Any, ...]
    settings: tuple[Mapping[str, Any], ...]

    @property
    def leaf_paths(self) -> list[str]:
        return list(dict.fromkeys(path for settings in self.settings for path in settings))


@dataclass(frozen=True)
class RawPoint:
    """One point before it is validated. `origin` says where in the study a leaf is written."""

    settings: Mapping[str, Any]
    axes: Mapping[str, Any] | None
    origin: Callable[[str], str]


@dataclass
class Matrix:
    """The parts of a study as leaf paths. `reference` matches the experiment that all others are compared with."""

    defaults: Mapping[str, Any]
    axes: list[Axis]
    excludes: list[Pattern]
    entries: list[tuple[str, Mapping[str, Any]]]
    problems: list[Problem]
    reference: Pattern | None = None
    unmatched: set[int] = field(default_factory=set)

    def points(self) -> Iterator[RawPoint]:
        """Every point in order: the product (last axis fastest), include, experiments. Nothing else is run."""
        self.unmatched = set(range(len(self.excludes)))
        if self.axes or not self.entries:
            yield from self._product()
        for place, settings in self.entries:
            yield RawPoint({**self.defaults, **settings}, None, _entry_origin(place, settings))

    def unmatched_excludes(self) -> list[Problem]:
        """Excludes that matched no point. Call this after `points` is exhausted."""
        return [
            EXCLUDE_UNMATCHED.problem(f"exclude[{position}]", "matches no point of the matrix")
            for position in sorted(self.unmatched)
        ]

    def may_be_reference(self, point: RawPoint) -> bool:
        """Whether `measurement.reference` of the study matches this point. False if the study has none."""
        return self.reference is not None and matches(self.reference, in_force(point.settings))

    def _product(self) -> Iterator[RawPoint]:
        choices = [range(len(axis.values)) for axis in self.axes]
        for chosen in itertools.product(*choices):
            settings = dict(self.defaults)
            for axis, position in zip(self.axes, chosen, strict=True):
                settings.update(axis.settings[position])
            if self.excludes and self._excluded(settings):
                continue
            axes = {axis.path: axis.values[position] for axis, position in zip(self.axes, chosen, strict=True)}
            yield RawPoint(settings, axes, self._product_origin(chosen))

    def _excluded(self, settings: Mapping[str, Any]) -> bool:
        effective = in_force(settings)
        excluded = False
        for position, entry in enumerate(self.excludes):
            if matches(entry, effective):
                self.unmatched.discard(position)
                excluded = True
        return excluded

    def _product_origin(self, chosen: tuple[int, ...]) -> Callable[[str], str]:
        def origin(path: str) -> str:
            for axis, position in zip(self.axes, chosen, strict=True):
                if path in axis.settings[position]:
                    return f"matrix.{axis.path}[{position}]{path.removeprefix(axis.path)}"
            return f"defaults.{path}"

        return origin


def read_matrix(study: StudyConfig) -> Matrix:
    """Read a study as leaf paths. `problems` lists what is wrong with its keys and paths."""
    defaults, problems = spell_out(study.defaults, "defaults")
    axes = []
    for path, values in study.matrix.items():
        axis, wrong = _read_axis(path, values)
        problems += wrong
        if axis is not None:
            axes.append(axis)
    problems += _overlaps(axes)
    excludes: list[Pattern] = []
    for position, entry in enumerate(study.exclude):
        pattern, wrong = read_pattern(entry, f"exclude[{position}]")
        problems += wrong
        if not entry:
            problems.append(EXCLUDE_EMPTY.problem(f"exclude[{position}]", "has no keys"))
        excludes.append(pattern)
    reference: Pattern | None = None
    if study.measurement.reference is not None:
        reference, wrong = read_pattern(study.measurement.reference, "measurement.reference")
        problems += wrong
    entries: list[tuple[str, Mapping[str, Any]]] = []
    for name, listed in (("include", study.include), ("experiments", study.experiments)):
        for position, entry in enumerate(listed):
            flat, wrong = spell_out(entry, f"{name}[{position}]")
            problems += wrong
            entries.append((f"{name}[{position}]", flat))
    return Matrix(defaults, axes, excludes, entries, problems, reference)


def _read_axis(path: str, values: list[Any]) -> tuple[Axis | None, list[Problem]]:
    where = f"matrix.{path}"
    if not is_section(path) and not is_leaf(path):
        return None, [unknown_setting(path, where)]
    if not values:
        return None, [EMPTY_AXIS.problem(where, "has no values")]
    problems: list[Problem] = []
    settings: list[Mapping[str, Any]] = []
    for position, value in enumerate(values):
        here = f"{where}[{position}]"
        if is_section(path) and not isinstance(value, dict | None):
            problems.append(WRONG_VALUE.problem(here, f"is {show(value)}", f"expected: a mapping of {path} settings"))
            continue
        flat, wrong = spell_out({path: value})
        problems += [
            Problem(item.severity, here + item.path.removeprefix(path), item.message, item.hint, item.rule)
            for item in wrong
        ]
        settings.append(flat)
    return (None if problems else Axis(path, tuple(values), tuple(settings))), problems


def _overlaps(axes: list[Axis]) -> list[Problem]:
    problems = []
    for first, second in itertools.combinations(axes, 2):
        shared = [path for path in second.leaf_paths if path in first.leaf_paths]
        if shared:
            message = f"sets {' and '.join(shared)}, which matrix.{first.path} also sets"
            problems.append(AXES_OVERLAP.problem(f"matrix.{second.path}", message))
    return problems


def _entry_origin(place: str, settings: Mapping[str, Any]) -> Callable[[str], str]:
    return lambda path: f"{place if path in settings else 'defaults'}.{path}"

"""From a study's matrix to validated experiments with ids."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

from llenergymeasure.config.problems.catalogue import (
    ID_COLLISION,
    MISSING_KEY,
    NO_EXPERIMENTS,
    REFERENCE_UNMATCHED,
    WRONG_VALUE,
)
from llenergymeasure.config.problems.problem import Problem
from llenergymeasure.config.rules.checked import ExperimentConfig
from llenergymeasure.config.rules.rulebook import rules
from llenergymeasure.config.settings.hashes import ID_DIGITS, compute_config_hash, config_hash_of, load_hash_of
from llenergymeasure.config.settings.setting_paths import flatten
from llenergymeasure.config.study.build import build
from llenergymeasure.config.study.equivalent import points_alike
from llenergymeasure.config.study.matrix import Axis, Matrix, RawPoint
from llenergymeasure.config.study.pins import Pins


@dataclass(frozen=True)
class Point:
    """One experiment of a study. `axes` maps each path in `Expansion.axes` to this experiment's value."""

    experiment_id: str
    load_id: str
    config: ExperimentConfig
    axes: Mapping[str, Any]


@dataclass(frozen=True)
class Expansion:
    """All experiments, in order. `duplicates` and `skipped` hold plain data, for plan.json.

    duplicates: {experiment_id, axes} of every further point that was the same experiment
    skipped: {axes, problems} of every invalid point, with `invalid: skip`
    reference: id of the first experiment that `measurement.reference` matches; None where the study names none
    """

    experiments: list[Point] = field(default_factory=list)
    duplicates: list[dict[str, Any]] = field(default_factory=list)
    skipped: list[dict[str, Any]] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)
    axes: list[str] = field(default_factory=list)
    reference: str | None = None

    @property
    def load_sizes(self) -> list[int]:
        """How many experiments each load has."""
        return list(Counter(point.load_id for point in self.experiments).values())


class Tally:
    """Problems of many points: the same mistake is one line with a count."""

    def __init__(self) -> None:
        self._counts: dict[Problem, int] = {}

    def add(self, problems: Iterable[Problem]) -> None:
        for problem in problems:
            self._counts[problem] = self._counts.get(problem, 0) + 1

    def problems(self, points: int) -> list[Problem]:
        """Each problem once. A count of all `points` says nothing, so it is left out."""
        return [
            replace(problem, message=f"{problem.message} ({count} of {points} points)")
            if 1 < count < points
            else problem
            for problem, count in self._counts.items()
        ]


def expand_matrix(
    matrix: Matrix, pins: Pins, *, skip_invalid: bool, require_pins: bool
) -> tuple[Expansion, list[Problem]]:
    """Validate every point. The second value lists all errors; the expansion counts only where it is empty."""
    sound = not matrix.problems
    errors, warnings = Tally(), Tally()
    built: list[tuple[RawPoint, ExperimentConfig, dict[str, Any]]] = []
    skipped: list[tuple[RawPoint, list[Problem]]] = []
    points, meant = 0, 0
    # Of ten thousand experiments only what the matrix's columns need is kept.
    looked_at = dict.fromkeys([axis.path for axis in matrix.axes])
    looked_at |= dict.fromkeys(path for _, settings in matrix.entries for path in settings)
    for raw in matrix.points():
        points += 1
        meant += matrix.may_be_reference(raw)
        config, problems = build(raw.settings)
        problems = [_written_at(problem, raw) for problem in problems]
        if not sound:
            # With some keys set aside, only what is wrong by itself is worth reporting.
            errors.add(problem for problem in problems if problem.rule == WRONG_VALUE.id)
            continue
        if config is None:
            found = [problem for problem in problems if problem.severity == "error"]
            if skip_invalid and not any(problem.rule == MISSING_KEY.id for problem in found):
                skipped.append((raw, found))
            else:
                errors.add(found)
            continue
        warnings.add(problem for problem in problems if problem.severity == "warning")
        flat = flatten(config)
        asked = {path: flat[path] for path in looked_at if path in flat}
        if require_pins:
            config, unpinned = pins.apply(config)
            if unpinned:
                errors.add(_written_at(problem, raw) for problem in unpinned)
                continue
        built.append((raw, config, asked))
    problems = matrix.problems + errors.problems(points)
    if not problems and not built:
        for _, found in skipped:
            errors.add(found)
        problems = [NO_EXPERIMENTS.problem("", _why_none(matrix, skipped)), *errors.problems(points)]
    reference = next((config for raw, config, _ in built if matrix.may_be_reference(raw)), None)
    # An experiment that is broken, and about to be mended, may be the one that is meant.
    if sound and points and matrix.reference is not None and (not meant or (reference is None and not problems)):
        problems.append(_unmatched_reference(meant))
    if problems:
        return Expansion(), problems
    axes = _axes(matrix, built)
    experiments, duplicates, collisions, written = _with_ids(built, axes, matrix.axes)
    if collisions:
        return Expansion(), collisions
    warned = [*matrix.unmatched_excludes(), *warnings.problems(points), *points_alike(experiments, written)]
    rejected = [
        {"axes": dict(raw.axes or raw.settings), "problems": [problem.to_dict() for problem in found]}
        for raw, found in skipped
    ]
    chosen = None if reference is None else compute_config_hash(reference)[:ID_DIGITS]
    return Expansion(experiments, duplicates, rejected, warned, axes, chosen), []


def _written_at(problem: Problem, raw: RawPoint) -> Problem:
    """The problem at the place where its setting was written; for a rule, the first of its settings that was."""
    path = problem.path
    if path not in raw.settings:
        looked_at = _paths_of_rules().get(problem.rule or "", ())
        path = next((other for other in looked_at if other in raw.settings), path)
        if path != problem.path:
            return replace(problem, path=raw.origin(path), message=f"{problem.path}: {problem.message}")
    return replace(problem, path=raw.origin(path))


@cache
def _paths_of_rules() -> Mapping[str, tuple[str, ...]]:
    return {rule.id: rule.paths for rule in rules()}


def _why_none(matrix: Matrix, skipped: list[Any]) -> str:
    if skipped:
        return f"no experiment is left: all {len(skipped)} points are invalid"
    return "no experiment is left: every point of the matrix is excluded" if matrix.excludes else "no experiment"


def _unmatched_reference(meant: int) -> Problem:
    left_out = f": all {meant} that it means are left out as invalid" if meant else ""
    return REFERENCE_UNMATCHED.problem("measurement.reference", f"matches no experiment of the study{left_out}")


def _axes(matrix: Matrix, built: list[tuple[RawPoint, ExperimentConfig, dict[str, Any]]]) -> list[str]:
    """The matrix's paths, then what written-out experiments set differently from each other."""
    names = [axis.path for axis in matrix.axes]
    extra = dict.fromkeys(path for _, settings in matrix.entries for path in settings)
    for path in extra:
        covered = any(path == name or path.startswith(f"{name}.") for name in names)
        if not covered and len({repr(asked.get(path)) for _, _, asked in built}) > 1:
            names.append(path)
    return names


def _with_ids(
    built: list[tuple[RawPoint, ExperimentConfig, dict[str, Any]]], names: list[str], axes: list[Axis]
) -> tuple[list[Point], list[dict[str, Any]], list[Problem], dict[str, RawPoint]]:
    """The points, the further ones that were the same, ids that collide, and by id what the study says of a point."""
    written: dict[str, RawPoint] = {}
    points: dict[str, Point] = {}
    duplicates: list[dict[str, Any]] = []
    collisions: list[Problem] = []
    full: dict[tuple[str, str], str] = {}
    by_path = {axis.path: axis for axis in axes}

    def short(kind: str, digest: str) -> str:
        prefix = digest[:ID_DIGITS]
        if full.setdefault((kind, prefix), digest) != digest:
            collisions.append(ID_COLLISION.problem("", f"two {kind}s share the id {prefix}"))
        return prefix

    for raw, config, asked in built:
        settings = flatten(config)
        experiment_id = short("experiment", config_hash_of(settings))
        load_id = short("load", load_hash_of(settings))
        values = {name: _axis_value(name, raw, asked, by_path) for name in names}
        if experiment_id in points:
            duplicates.append({"experiment_id": experiment_id, "axes": values})
        else:
            points[experiment_id] = Point(experiment_id, load_id, config, values)
            written[experiment_id] = raw
    return list(points.values()), duplicates, collisions, written


def _axis_value(name: str, raw: RawPoint, asked: Mapping[str, Any], axes: Mapping[str, Axis]) -> Any:
    if raw.axes is not None and name in raw.axes:
        return raw.axes[name]
    if name in asked or name not in axes:
        return asked.get(name)
    within = f"{name}."
    return {path.removeprefix(within): value for path, value in raw.settings.items() if path.startswith(within)}

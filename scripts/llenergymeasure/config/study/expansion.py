"""From a study's matrix to validated experiments with ids."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any, NamedTuple

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
from llenergymeasure.config.settings.hashes import (
    ID_DIGITS,
    compute_config_hash,
    config_hash_from_settings,
    setup_hash_from_settings,
)
from llenergymeasure.config.settings.setting_paths import flatten
from llenergymeasure.config.study.build import build
from llenergymeasure.config.study.equivalent import points_alike
from llenergymeasure.config.study.matrix import Axis, Matrix, RawPoint
from llenergymeasure.config.study.pins import Pins
from llenergymeasure.config.study.points import Expansion, Point


class Tally:
    """Problems of many points, where the same mistake becomes one line with a count."""

    def __init__(self) -> None:
        self._counts: dict[Problem, int] = {}

    def add(self, problems: Iterable[Problem]) -> None:
        for problem in problems:
            self._counts[problem] = self._counts.get(problem, 0) + 1

    def problems(self, points: int) -> list[Problem]:
        """Each problem once, with its count unless it concerns all `points`."""
        return [
            replace(problem, message=f"{problem.message} ({count} of {points} points)")
            if 1 < count < points
            else problem
            for problem, count in self._counts.items()
        ]


class _ValidPoint(NamedTuple):
    """A point of the matrix that is an experiment. `asked`: the settings that a column of the plan may need."""

    raw: RawPoint
    config: ExperimentConfig
    asked: Mapping[str, Any]


@dataclass
class _CheckedPoints:
    """What the check of every point of a matrix showed.

    skipped: invalid points that `invalid: skip` leaves out, with their errors
    reference: the first valid point that `measurement.reference` matches
    matching_reference: how many points it matches, valid or not
    """

    valid: list[_ValidPoint] = field(default_factory=list)
    skipped: list[tuple[RawPoint, list[Problem]]] = field(default_factory=list)
    errors: Tally = field(default_factory=Tally)
    warnings: Tally = field(default_factory=Tally)
    reference: ExperimentConfig | None = None
    matching_reference: int = 0
    count: int = 0


def expand_matrix(
    matrix: Matrix, pins: Pins, *, skip_invalid: bool, require_pins: bool
) -> tuple[Expansion, list[Problem]]:
    """Validate every point. The second value lists all errors; the expansion is valid only if there are none."""
    checked = _check_points(matrix, pins if require_pins else None, skip_invalid)
    errors = _errors(matrix, checked)
    if errors:
        return Expansion(), errors
    axes = _axes(matrix, checked.valid)
    experiments, duplicates, collisions, written = _with_ids(checked.valid, axes, matrix.axes)
    if collisions:
        return Expansion(), collisions
    warnings = [
        *matrix.unmatched_excludes(),
        *checked.warnings.problems(checked.count),
        *points_alike(experiments, written),
    ]
    skipped = [
        {"axes": dict(raw.axes or raw.settings), "problems": [problem.to_dict() for problem in problems]}
        for raw, problems in checked.skipped
    ]
    reference = None if checked.reference is None else compute_config_hash(checked.reference)[:ID_DIGITS]
    return Expansion(experiments, duplicates, skipped, warnings, axes, reference), []


def _check_points(matrix: Matrix, pins: Pins | None, skip_invalid: bool) -> _CheckedPoints:
    checked = _CheckedPoints()
    # A study may have ten thousand experiments: keep only the settings that the columns of the matrix need.
    columns = dict.fromkeys([axis.path for axis in matrix.axes])
    columns |= dict.fromkeys(path for _, settings in matrix.entries for path in settings)
    for raw in matrix.points():
        matches_reference = matrix.may_be_reference(raw)
        checked.count += 1
        checked.matching_reference += matches_reference
        config, problems = build(raw.settings)
        problems = [_written_at(problem, raw) for problem in problems]
        if matrix.problems:
            # Some keys could not be read, so only values that are wrong by themselves are worth reporting.
            checked.errors.add(problem for problem in problems if problem.rule == WRONG_VALUE.id)
            continue
        if config is None:
            errors = [problem for problem in problems if problem.severity == "error"]
            if skip_invalid and not any(problem.rule == MISSING_KEY.id for problem in errors):
                checked.skipped.append((raw, errors))
            else:
                checked.errors.add(errors)
            continue
        checked.warnings.add(problem for problem in problems if problem.severity == "warning")
        flat = flatten(config)
        pinned, unpinned = (config, []) if pins is None else pins.apply(config)
        if unpinned:
            checked.errors.add(_written_at(problem, raw) for problem in unpinned)
            continue
        checked.valid.append(_ValidPoint(raw, pinned, {path: flat[path] for path in columns if path in flat}))
        if matches_reference and checked.reference is None:
            checked.reference = pinned
    return checked


def _errors(matrix: Matrix, checked: _CheckedPoints) -> list[Problem]:
    errors = matrix.problems + checked.errors.problems(checked.count)
    if not errors and not checked.valid:
        for _, problems in checked.skipped:
            checked.errors.add(problems)
        errors = [NO_EXPERIMENTS.problem("", _why_none(matrix, checked.skipped))]
        errors += checked.errors.problems(checked.count)
    if matrix.reference is None or matrix.problems or not checked.count:
        return errors
    # A broken experiment that the user is about to correct may be the one that is meant.
    if not checked.matching_reference or (checked.reference is None and not errors):
        errors.append(_unmatched_reference(checked.matching_reference))
    return errors


def _written_at(problem: Problem, raw: RawPoint) -> Problem:
    """The problem at the place of its setting; for a rule, at the first of its settings that is written."""
    path = problem.path
    if path not in raw.settings:
        rule_paths = _paths_by_rule().get(problem.rule or "", ())
        path = next((other for other in rule_paths if other in raw.settings), path)
        if path != problem.path:
            return replace(problem, path=raw.origin(path), message=f"{problem.path}: {problem.message}")
    return replace(problem, path=raw.origin(path))


@cache
def _paths_by_rule() -> Mapping[str, tuple[str, ...]]:
    return {rule.id: rule.paths for rule in rules()}


def _why_none(matrix: Matrix, skipped: list[Any]) -> str:
    if skipped:
        return f"no experiment remains: all {len(skipped)} points are invalid"
    return "no experiment remains: every point of the matrix is excluded" if matrix.excludes else "no experiment"


def _unmatched_reference(meant: int) -> Problem:
    skipped = f": all {meant} matches are skipped as invalid" if meant else ""
    return REFERENCE_UNMATCHED.problem("measurement.reference", f"matches no experiment of the study{skipped}")


def _axes(matrix: Matrix, valid: list[_ValidPoint]) -> list[str]:
    """The paths of the matrix, then the settings in which written-out experiments differ from each other."""
    names = [axis.path for axis in matrix.axes]
    extra = dict.fromkeys(path for _, settings in matrix.entries for path in settings)
    for path in extra:
        covered = any(path == name or path.startswith(f"{name}.") for name in names)
        if not covered and len({repr(point.asked.get(path)) for point in valid}) > 1:
            names.append(path)
    return names


def _with_ids(
    valid: list[_ValidPoint], names: list[str], axes: list[Axis]
) -> tuple[list[Point], list[dict[str, Any]], list[Problem], dict[str, RawPoint]]:
    """The points, their duplicates, colliding ids, and by id what the study says about a point."""
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

    for raw, config, asked in valid:
        settings = flatten(config)
        experiment_id = short("experiment", config_hash_from_settings(settings))
        setup_id = short("setup", setup_hash_from_settings(settings))
        values = {name: _axis_value(name, raw, asked, by_path) for name in names}
        if experiment_id in points:
            duplicates.append({"experiment_id": experiment_id, "axes": values})
        else:
            points[experiment_id] = Point(experiment_id, setup_id, config, values)
            written[experiment_id] = raw
    return list(points.values()), duplicates, collisions, written


def _axis_value(name: str, raw: RawPoint, asked: Mapping[str, Any], axes: Mapping[str, Axis]) -> Any:
    if raw.axes is not None and name in raw.axes:
        return raw.axes[name]
    if name in asked or name not in axes:
        return asked.get(name)
    within = f"{name}."
    return {path.removeprefix(within): value for path, value in raw.settings.items() if path.startswith(within)}

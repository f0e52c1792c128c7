"""Load a study: read, check everything at once, expand."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from llenergymeasure.config.problems.catalogue import LOCK_UNREADABLE, MISSING_KEY, UNKNOWN_KEY, UNREADABLE, WRONG_VALUE
from llenergymeasure.config.problems.problem import Problem, StudyError
from llenergymeasure.config.problems.text import show
from llenergymeasure.config.rules.checked import ExperimentConfig
from llenergymeasure.config.rules.costs_rules import costs_problems
from llenergymeasure.config.rules.order_rules import order_warnings
from llenergymeasure.config.rules.stopping_rules import stopping_problems
from llenergymeasure.config.settings.base import Config
from llenergymeasure.config.settings.costs import CostsConfig
from llenergymeasure.config.settings.protocol import MeasurementConfig
from llenergymeasure.config.settings.setting_paths import is_leaf, is_section
from llenergymeasure.config.settings.slo import SloConfig
from llenergymeasure.config.settings.study_config import StudyConfig
from llenergymeasure.config.settings.type_words import expected
from llenergymeasure.config.study.expansion import expand_matrix
from llenergymeasure.config.study.lock import LockError, ModelsLock, read_lock
from llenergymeasure.config.study.matrix import read_matrix
from llenergymeasure.config.study.pins import Missing, Pins
from llenergymeasure.config.study.points import Expansion
from llenergymeasure.config.study.renamed_keys import present_path, renamed_key, renamed_value
from llenergymeasure.config.study.source_positions import Locator
from llenergymeasure.config.study.study_file import read_study_file
from llenergymeasure.config.study.suggestions import suggest_key

DEFAULT_LOCK = Path("config/models.lock.yaml")


@dataclass(frozen=True)
class Study:
    """A study without mistakes: all its experiments are valid."""

    config: StudyConfig
    _expansion: Expansion

    @property
    def name(self) -> str:
        return self.config.study

    @property
    def measurement(self) -> MeasurementConfig:
        return self.config.measurement

    def expand(self) -> list[ExperimentConfig]:
        """The experiments in plan order, revisions pinned."""
        return [point.config for point in self._expansion.experiments]

    def expansion(self) -> Expansion:
        """The experiments with their ids and matrix values, and what was merged, skipped or warned about."""
        return self._expansion


def load_study(path: Path | str, *, lock_path: Path | str | None = None, require_pins: bool = True) -> Study:
    """Read a study file. StudyError lists everything that is wrong with it.

    With `require_pins=False` revisions stay as written, so that they can be pinned.
    """
    file = read_study_file(Path(path))
    return _check(file.content, Locator(file.content, file), file.name, lock_path, require_pins)


def study_from_mapping(
    mapping: Mapping[str, Any],
    *,
    source: Path | str | None = None,
    lock_path: Path | str | None = None,
    require_pins: bool = True,
    missing: Missing | None = None,
) -> Study:
    """The study in a mapping, such as Snakemake's `config`; `source` is its file, for line numbers.

    What differs from the file was given on the command line, and problems say so. A caller that is about to run the
    study here passes `missing`, which is asked once about each pinned model.
    """
    file = read_study_file(Path(source)) if source is not None else None
    content = _plain(mapping)
    return _check(content, Locator(content, file), file.name if file else None, lock_path, require_pins, missing)


def check_readable(path: Path) -> None:
    """StudyError if the file cannot be read, is not YAML (with the line), or does not hold a mapping."""
    file = read_study_file(path)
    _check_mapping(file.content, file.name)


def study_without_experiments(mapping: Mapping[str, Any]) -> Study:
    """The settings of a study, not expanded: for a job of a study that was checked before."""
    config, problems = _read_study(_plain(mapping))
    if problems:
        raise StudyError(problems)
    return Study(config, Expansion())


def _check(
    content: Any,
    locator: Locator,
    name: str | None,
    lock_path: Path | str | None,
    require_pins: bool,
    missing: Missing | None = None,
) -> Study:
    _check_mapping(content, name)
    study, problems = _read_study(content)
    lock, lock_problem = _read_lock(Path(lock_path) if lock_path is not None else DEFAULT_LOCK)
    matrix = read_matrix(study)
    matrix.problems[:0] = [*problems, *stopping_problems(study.measurement), *costs_problems(study.costs)]
    expansion, errors = expand_matrix(
        matrix,
        Pins(lock, str(lock_path or DEFAULT_LOCK), missing),
        skip_invalid=study.invalid == "skip",
        require_pins=require_pins and lock_problem is None,
    )
    errors = locator.place_all(errors)
    if lock_problem is not None and require_pins:
        errors.append(lock_problem)
    if errors:
        raise StudyError(errors)
    expansion.warnings.extend(order_warnings(study.measurement, expansion.setup_sizes))
    expansion.warnings[:] = locator.place_all(expansion.warnings)
    return Study(study, expansion)


def _check_mapping(content: Any, name: str | None) -> None:
    if not isinstance(content, dict) or not content:
        message = "is empty" if not content else f"contains {show(content)}, not a mapping"
        hint = "write a study; config/README.md shows one"
        raise StudyError([Problem("error", "", message, hint, UNREADABLE.id, name)])


def _read_study(content: dict[str, Any]) -> tuple[StudyConfig, list[Problem]]:
    """The study without the keys that are wrong, and what is wrong with them."""
    content = {key: value for key, value in content.items() if value is not None or key not in _SECTIONS}
    try:
        return StudyConfig.model_validate(content), []
    except ValidationError as error:
        problems: dict[str, Problem] = {}
        sound = {key: dict(value) if isinstance(value, dict) else value for key, value in content.items()}
        for item in error.errors(include_url=False):
            path = _path_from_location(item["loc"])
            if path not in problems:
                problems[path] = _study_problem(path, item)
            _drop(sound, item["loc"])
        sound.setdefault("study", "unnamed")
        return StudyConfig.model_validate(sound), list(problems.values())


_SECTION_MODELS: Mapping[str, type[Config]] = {
    "measurement": MeasurementConfig,
    "costs": CostsConfig,
    "slo": SloConfig,
}
_SECTIONS = frozenset(name for name, field in StudyConfig.model_fields.items() if not field.is_required())


def _path_from_location(location: tuple[int | str, ...]) -> str:
    """The dotted path of pydantic's location, in which `[key]` follows a key that is not text."""
    path = ""
    for position, part in enumerate(location):
        is_key = isinstance(part, str) or location[position + 1 :][:1] == ("[key]",)
        if part != "[key]":
            path += f".{part}" if is_key else f"[{part}]"
    return path.removeprefix(".")


def _study_problem(path: str, item: Any) -> Problem:
    head, _, name = path.partition(".")
    fields = _SECTION_MODELS[head].model_fields if head in _SECTION_MODELS and name else StudyConfig.model_fields
    if item["type"] == "missing":
        return MISSING_KEY.problem(path, "is missing", "add for example study: my-study")
    if item["type"] == "extra_forbidden":
        if not name and (is_leaf(setting := present_path(path)) or is_section(setting)):
            return UNKNOWN_KEY.problem(path, "is not a key of a study", f"did you mean defaults.{setting}?")
        if renamed := renamed_key(path, path):
            return renamed
        return UNKNOWN_KEY.problem(path, "is not a setting", suggest_key(path))
    value = item["input"]
    if item["loc"][-1] == "[key]":
        return UNKNOWN_KEY.problem(path, f"the key {show(value)} is not text", "put it in quotes")
    if head == "matrix" and name:
        hint = f"expected: a list of values, such as [{show(value)}]"
        if isinstance(value, dict) and value:
            key = next(iter(value))
            hint = f"expected: a list of values; write the path with dots: {name}.{key}: [...]"
        return WRONG_VALUE.problem(path, f"is {show(value)}", hint)
    if renamed := renamed_value(path, value):
        return renamed
    field = fields.get(name or head)
    hint = expected(field, value) if field is not None else "expected: a mapping of settings"
    return WRONG_VALUE.problem(path, f"is {show(value)}", hint)


def _drop(content: dict[str, Any], location: tuple[int | str, ...]) -> None:
    """Remove the smallest part that can be missing: a matrix path, a protocol key, else the whole key."""
    head = str(location[0]) if location else ""
    inner = content.get(head)
    if len(location) > 1 and isinstance(inner, dict) and location[1] in inner:
        del inner[location[1]]
    else:
        content.pop(head, None)


def _read_lock(path: Path) -> tuple[ModelsLock, Problem | None]:
    try:
        return read_lock(path), None
    except LockError as error:
        message = str(error).removeprefix(f"{path}: ")
        return ModelsLock(), Problem("error", "", message, rule=LOCK_UNREADABLE.id, file=str(path))


def _plain(value: Any) -> Any:
    """Plain dictionaries and lists: Snakemake passes its own kinds of mappings."""
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    # Snakemake reads a text such as 2026-01-01 as a date.
    return str(value) if isinstance(value, datetime.date) else value

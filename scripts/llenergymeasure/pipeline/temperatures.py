"""temperatures.json: how warm each board gets in a study, which decides how warm it is when a window begins.

The first job that measures on a board writes it, from all calibrations of the study: Snakemake starts no measurement
before they exist. What it says of a board never changes, so that a study that grows goes on as it began.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from llenergymeasure.processes.file_lock import exclusive
from llenergymeasure.records.calibration import CalibratedExperiment, SessionCalibration
from llenergymeasure.records.schema import SCHEMA_VERSION
from llenergymeasure.records.storage.atomic import write_json
from llenergymeasure.records.storage.layout import Layout
from llenergymeasure.records.storage.parsing import read_record
from llenergymeasure.records.study.warmth import NO_TEMPERATURES, BoardTemperature, StudyTemperatures, Warmth


def keep_temperatures(layout: Layout, calibration: SessionCalibration, sessions: Iterable[str]) -> StudyTemperatures:
    """The study's temperatures; boards that are not among them yet are added, and the file is written.

    calibration: of the session that is to be measured
    sessions: the ids of all sessions of the plan; those without a calibration count for nothing

    BrokenRecord where the file, or a calibration, cannot be read.
    """
    warm = [item.warmth for item in calibration.experiments.values() if item.warmth is not None]
    if not warm:
        return NO_TEMPERATURES
    boards = {uuid for warmth in warm for uuid in warmth.boards_c}
    kept = _read(layout.temperatures)
    if boards <= kept.boards.keys():
        return kept
    with exclusive(layout.temperatures.with_name(f".{layout.temperatures.name}.lock")):
        kept = _read(layout.temperatures)
        paths = [path for path in map(layout.calibration, sessions) if path.exists()]
        whole = add_boards(kept, [read_record(SessionCalibration, path) for path in paths])
        write_json(whole.to_plain(), layout.temperatures)
    return whole


def add_boards(kept: StudyTemperatures, calibrations: Iterable[SessionCalibration]) -> StudyTemperatures:
    """With every board that these calibrations used and that is not in it; the same in whatever order they come."""
    by_board: dict[str, list[tuple[str, Warmth]]] = {}
    for experiment_id, item in _experiments(calibrations):
        if item.warmth is None:
            continue
        for uuid in item.warmth.boards_c:
            by_board.setdefault(uuid, []).append((experiment_id, item.warmth))
    added = {uuid: _board(uuid, seen) for uuid, seen in sorted(by_board.items()) if uuid not in kept.boards}
    return StudyTemperatures(schema_version=SCHEMA_VERSION, boards={**kept.boards, **added})


def _experiments(calibrations: Iterable[SessionCalibration]) -> list[tuple[str, CalibratedExperiment]]:
    merged: dict[str, CalibratedExperiment] = {}
    for calibration in calibrations:
        merged.update(calibration.experiments)
    return sorted(merged.items())


def _board(uuid: str, warmed: list[tuple[str, Warmth]]) -> BoardTemperature:
    experiment_id, hottest = max(warmed, key=lambda entry: entry[1].boards_c[uuid])
    slopes = [warmth for _, warmth in warmed if warmth.power_per_c_w is not None]
    steepest = max(slopes, key=lambda warmth: abs(warmth.power_per_c_w or 0.0), default=None)
    return BoardTemperature(
        hottest_c=hottest.boards_c[uuid],
        experiment_id=experiment_id,
        coldest_c=min(warmth.start_c for _, warmth in warmed),
        power_per_c_w=None if steepest is None else steepest.power_per_c_w,
        power_per_c_standard_w=None if steepest is None else steepest.power_per_c_standard_w,
    )


def _read(path: Path) -> StudyTemperatures:
    return read_record(StudyTemperatures, path) if path.exists() else NO_TEMPERATURES

"""temperatures.json: from all calibrations of a study, whatever their order, and never another for a board."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from llenergymeasure.pipeline.temperatures import add_boards, keep_temperatures
from llenergymeasure.records.calibration import CalibratedExperiment, SessionCalibration
from llenergymeasure.records.schema import SCHEMA_VERSION
from llenergymeasure.records.storage.atomic import write_json
from llenergymeasure.records.storage.layout import Layout
from llenergymeasure.records.study.warmth import NO_TEMPERATURES, Warmth


def session(name: str, **boards_c: float) -> SessionCalibration:
    """One experiment per board: where its warm-up ended. `none` has no temperature."""
    return SessionCalibration(
        schema_version=SCHEMA_VERSION,
        session_id=name * 12,
        setup_id="0" * 12,
        fingerprint="",
        startup_s=0.0,
        experiments={
            f"{name}{board}": CalibratedExperiment(
                status="ok",
                failure=None,
                warmth=None
                if board == "none"
                else Warmth(
                    start_c=40.0 + end_c / 100, boards_c={board: end_c}, rested=True, power_per_c_w=end_c / 100
                ),
            )
            for board, end_c in boards_c.items()
        },
    )


ONE, TWO, THREE = session("a", x=70.0, none=0.0), session("b", x=76.0), session("c", y=60.0)


def test_each_board_has_the_hottest_of_its_calibrations_in_whatever_order_they_come() -> None:
    found = [add_boards(NO_TEMPERATURES, order) for order in itertools.permutations([ONE, TWO, THREE])]
    assert all(one == found[0] for one in found)
    boards = found[0].boards
    assert {uuid: (board.hottest_c, board.experiment_id) for uuid, board in boards.items()} == {
        "x": (76.0, "bx"),
        "y": (60.0, "cy"),
    }
    assert boards["x"].coldest_c == 40.7
    assert boards["x"].power_per_c_w == 0.76
    assert [found[0].on(uuids) for uuids in (["y"], ["x", "y"], ["z"])] == [boards["y"], boards["x"], boards["x"]]


def test_a_session_that_is_added_later_does_not_move_a_board(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    for calibration in (ONE, THREE):
        write_json(calibration.to_plain(), layout.calibration(calibration.session_id))
    planned = [calibration.session_id for calibration in (ONE, TWO, THREE)]
    # The job of the third session writes what the first one's then reads.
    first = keep_temperatures(layout, THREE, planned)
    assert {uuid: board.hottest_c for uuid, board in first.boards.items()} == {"x": 70.0, "y": 60.0}
    assert keep_temperatures(layout, ONE, planned) == first

    write_json(TWO.to_plain(), layout.calibration(TWO.session_id))
    assert keep_temperatures(layout, TWO, planned) == first

    on_another_board = session("d", z=80.0)
    write_json(on_another_board.to_plain(), layout.calibration(on_another_board.session_id))
    grown = keep_temperatures(layout, on_another_board, [*planned, on_another_board.session_id])
    assert grown.boards == {**first.boards, "z": grown.boards["z"]} and grown.boards["z"].hottest_c == 80.0


def test_a_study_without_a_thermometer_has_no_such_file(tmp_path: Path) -> None:
    assert keep_temperatures(Layout(tmp_path), session("a", none=0.0), []) == NO_TEMPERATURES
    assert not Layout(tmp_path).temperatures.exists()


@pytest.mark.parametrize("taken", [1, 2])
def test_a_measurement_before_all_calibrations_sees_those_that_are_there(tmp_path: Path, taken: int) -> None:
    layout = Layout(tmp_path)
    for calibration in (ONE, TWO)[:taken]:
        write_json(calibration.to_plain(), layout.calibration(calibration.session_id))
    whole = keep_temperatures(layout, ONE, [ONE.session_id, TWO.session_id])
    assert whole.boards["x"].hottest_c == (70.0, 76.0)[taken - 1]

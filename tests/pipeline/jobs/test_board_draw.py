"""Boards are drawn: reproducibly, and so that every setup gets each of them equally often."""

from __future__ import annotations

from collections import Counter

import pytest

from llenergymeasure.pipeline.board_draw import Draw

BOARDS = [f"GPU-{letter}" for letter in "abcdefgh"]
SETUPS = [f"setup{number}" for number in range(40)]


def first(setup: str, replicate: int, *, seed: int = 0, side_by_side: bool = False) -> str:
    return Draw(seed, setup, replicate).ring(BOARDS, side_by_side=side_by_side)[0]


@pytest.mark.parametrize("side_by_side", [False, True])
def test_a_setup_begins_at_each_board_once_in_as_many_replicates(side_by_side: bool) -> None:
    for setup in SETUPS:
        begun = Counter(first(setup, replicate, side_by_side=side_by_side) for replicate in range(1, 9))
        assert begun == Counter(BOARDS)


def test_one_at_a_time_all_setups_of_a_replicate_have_the_same_board() -> None:
    for replicate in range(1, 9):
        assert len({first(setup, replicate) for setup in SETUPS}) == 1


def test_side_by_side_the_setups_of_a_replicate_are_spread() -> None:
    begun = Counter(first(setup, 1, side_by_side=True) for setup in SETUPS)
    assert len(begun) >= 6 and max(begun.values()) <= 12


def test_the_draw_is_the_studys_and_not_that_of_the_machines_list() -> None:
    draw = Draw(7, "setup", 3)
    assert draw.ring(BOARDS, side_by_side=True) == draw.ring(reversed(BOARDS), side_by_side=True)
    assert sorted(draw.ring(BOARDS, side_by_side=False)) == BOARDS
    # Never first-free: over many studies every board is the first equally often.
    begun = Counter(first("setup", 1, seed=seed) for seed in range(800))
    assert set(begun) == set(BOARDS) and max(begun.values()) < 150
    assert Draw(0, "setup", 1).ring([], side_by_side=True) == []

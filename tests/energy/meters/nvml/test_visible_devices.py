"""CUDA_VISIBLE_DEVICES, read as CUDA reads it."""

from __future__ import annotations

import pytest

from llenergymeasure.energy.meters.nvml.visible_devices import Board, select_boards

BOARDS = [
    Board(0, "GPU-aaaa-1", "H100", False),
    Board(1, "GPU-aabb-2", "H100", False),
    Board(2, "GPU-cccc-3", "H100", False),
]


@pytest.mark.parametrize(
    ("listed", "indices"),
    [
        (None, [0, 1, 2]),
        ("", []),
        ("-1", []),
        ("NoDevFiles", []),
        ("2", [2]),
        ("2,0", [2, 0]),
        (" 1 , 2 ", [1, 2]),
        ("1,-1,2", [1]),
        ("0,7,1", [0]),
        ("0,x,1", [0]),
        ("GPU-cccc-3,GPU-aaaa-1", [2, 0]),
        ("GPU-aab", [1]),
        ("GPU-aa", []),
        ("1,1", [1]),
    ],
)
def test_selection(listed: str | None, indices: list[int]) -> None:
    environment = {} if listed is None else {"CUDA_VISIBLE_DEVICES": listed}
    selection = select_boards(BOARDS, environment)
    assert [board.index for board in selection.boards] == indices
    assert selection.refused == []


def test_an_entry_that_names_no_gpu_is_reported() -> None:
    (caveat,) = select_boards(BOARDS, {"CUDA_VISIBLE_DEVICES": "0,7,1"}).caveats
    assert caveat[0] == "visible-devices"
    assert "'7' names no GPU" in caveat[1]


def test_mig_instances_are_refused_and_whole_boards_kept() -> None:
    boards = [BOARDS[0], Board(1, "GPU-mig", "H100", True)]
    selection = select_boards(boards, {})
    assert selection.boards == [BOARDS[0]]
    assert selection.refused[0][0] == "GPU-mig"
    assert select_boards(boards, {"CUDA_VISIBLE_DEVICES": "MIG-x"}).boards == []


@pytest.mark.parametrize(
    ("names", "environment", "uncertain"),
    [
        (("Slow", "Fast"), {"CUDA_VISIBLE_DEVICES": "0"}, True),
        (("Slow", "Fast"), {"CUDA_VISIBLE_DEVICES": "0", "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}, False),
        (("Slow", "Fast"), {"CUDA_VISIBLE_DEVICES": "GPU-0"}, False),
        (("Slow", "Fast"), {}, False),
        (("Same", "Same"), {"CUDA_VISIBLE_DEVICES": "0"}, False),
    ],
)
def test_the_order_is_uncertain_only_for_indices_on_mixed_machines(
    names: tuple[str, str], environment: dict[str, str], uncertain: bool
) -> None:
    boards = [Board(index, f"GPU-{index}", name, False) for index, name in enumerate(names)]
    assert select_boards(boards, environment).order_uncertain is uncertain

"""Which boards CUDA will use, worked out before torch touches CUDA.

CUDA's own rules (CUDA C++ Programming Guide, "CUDA Environment Variables"): `CUDA_VISIBLE_DEVICES` lists
indices or UUIDs (a unique prefix is enough); everything from the first entry that names no device is ignored.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

MIG_REASON = (
    "a MIG instance has no energy counter of its own and the board's counter includes its neighbours; use a whole GPU"
)


@dataclass(frozen=True)
class Board:
    """A physical GPU as NVML lists it, in PCI order."""

    index: int
    uuid: str
    name: str
    mig_enabled: bool


@dataclass
class Selection:
    """The boards CUDA uses, those refused with the reason, and what is doubtful: (code, message)."""

    boards: list[Board] = field(default_factory=list)
    refused: list[tuple[str, str]] = field(default_factory=list)
    caveats: list[tuple[str, str]] = field(default_factory=list)
    order_uncertain: bool = False


def select_boards(boards: Sequence[Board], environment: Mapping[str, str]) -> Selection:
    """Apply `CUDA_VISIBLE_DEVICES` and `CUDA_DEVICE_ORDER` to the boards of this machine."""
    selection = Selection()
    listed = environment.get("CUDA_VISIBLE_DEVICES")
    if listed is None:
        for board in boards:
            _add(selection, board)
        return selection
    by_index = False
    for token in (part.strip() for part in listed.split(",")):
        if token.startswith("MIG-"):
            selection.refused.append((token, MIG_REASON))
            continue
        match = _find(boards, token)
        if match is None:
            if token not in ("", "-1", "NoDevFiles"):
                selection.caveats.append(
                    (
                        "visible-devices",
                        f"CUDA_VISIBLE_DEVICES={listed}: {token!r} names no GPU here; "
                        "CUDA ignores it and what follows it",
                    )
                )
            break
        by_index = by_index or token.isdigit()
        _add(selection, match)
    mixed = len({board.name for board in boards}) > 1
    if by_index and mixed and environment.get("CUDA_DEVICE_ORDER") != "PCI_BUS_ID":
        selection.order_uncertain = True
        selection.caveats.append(
            (
                "device-order",
                f"CUDA_VISIBLE_DEVICES={listed} counts GPUs by speed and NVML by PCI bus, and this "
                "machine mixes models: until the model is loaded the metered GPU may be another one; "
                "set CUDA_DEVICE_ORDER=PCI_BUS_ID or list UUIDs",
            )
        )
    return selection


def _find(boards: Sequence[Board], token: str) -> Board | None:
    if token.isdigit():
        # By its number and not its place: a board that cannot be read is not in the list.
        return next((board for board in boards if board.index == int(token)), None)
    if token.startswith("GPU-"):
        matches = [board for board in boards if board.uuid.startswith(token)]
        return matches[0] if len(matches) == 1 else None
    return None


def _add(selection: Selection, board: Board) -> None:
    if board.mig_enabled:
        selection.refused.append((board.uuid, MIG_REASON))
    elif board not in selection.boards:
        selection.boards.append(board)
